"""The links to the hosts: which process follows each, and how far it has come."""

from django.db import models

from fleet.models.host import Host


class Follower(models.Model):
    """A process that follows hosts, which it shares with those of other hubs that have the same database."""

    name = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField()  # by the clock of the database

    def __str__(self) -> str:
        return self.name


class Link(models.Model):
    """What a follower knows of its connection to a host. It changes all the time, the host seldom."""

    class State(models.TextChoices):
        """How it stands with a link."""

        NEW = "new", "not followed yet"
        CURRENT = "current", "current"
        LOST = "lost", "lost"
        REFUSED = "refused", "refused"

    host = models.OneToOneField(Host, models.CASCADE, primary_key=True, related_name="link")
    # The lease: the follower that may write what it hears from the host, and until when.
    holder = models.CharField(max_length=100, blank=True, default="")
    held_until = models.DateTimeField(null=True, db_index=True)
    position = models.BigIntegerField(null=True)  # the host's id of the last event that was taken over
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW)
    error = models.TextField(blank=True, default="")
    since = models.DateTimeField(null=True, help_text="Since when it stands so.")
    heard_at = models.DateTimeField(null=True, help_text="Until when what is known of the host was true.")
    version = models.CharField(max_length=50, blank=True, default="")
    # Of the machine, as the host tells it; empty for a version that doesn't.
    machine = models.JSONField(blank=True, default=dict)

    def __str__(self) -> str:
        return f"{self.host}: {self.state}"
