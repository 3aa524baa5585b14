"""Copies of what the hosts have told: programs with their states, events, usage."""

from django.db import models

from fleet.models.host import Host


class FollowedProgram(models.Model):
    """A program of a host, as it was last heard of."""

    host = models.ForeignKey(Host, models.CASCADE, related_name="programs")
    program_id = models.BigIntegerField()  # the host's
    name = models.CharField(max_length=128)
    enabled = models.BooleanField()
    state = models.CharField(max_length=20)  # one word, as in the list of a host
    labels = models.JSONField(default=dict)
    cpu_percent = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)
    # The host's own document of the program, with `status`.
    document = models.JSONField()

    class Meta:
        verbose_name = "program of a host"
        verbose_name_plural = "programs of hosts"
        ordering = ["host", "program_id"]
        constraints = [models.UniqueConstraint(fields=["host", "program_id"], name="followed_program_once")]
        indexes = [
            models.Index(fields=["state"], name="followed_program_state"),
            models.Index(fields=["name"], name="followed_program_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}"


class FollowedEvent(models.Model):
    """An event of a host. The ids are in the order of recording, over all hosts."""

    host = models.ForeignKey(Host, models.CASCADE, related_name="events")
    number = models.BigIntegerField()  # the host's id of the event; negative once it has another history
    at = models.DateTimeField("time", db_index=True)
    program_id = models.BigIntegerField(null=True)
    name = models.CharField(max_length=128)
    state = models.CharField(max_length=10)
    document = models.JSONField()  # the host's own

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["host", "number"], name="followed_event_once")]
        indexes = [models.Index(fields=["host", "id"], name="followed_event_host")]

    def __str__(self) -> str:
        return f"{self.name} on {self.host}: {self.state}"


class HostUsage(models.Model):
    """The usage of a host's programs in one minute."""

    host = models.ForeignKey(Host, models.CASCADE, related_name="usage")
    minute = models.DateTimeField(db_index=True)
    cpu_percent = models.FloatField()
    memory_bytes = models.BigIntegerField()
    # By the program's id: CPU in percent and memory in bytes. Emptied after an hour.
    programs = models.JSONField(default=dict)

    class Meta:
        ordering = ["-minute"]
        constraints = [models.UniqueConstraint(fields=["host", "minute"], name="host_usage_once")]

    def __str__(self) -> str:
        return f"{self.host} at {self.minute}"
