"""Webhooks on their way: what is to be delivered where, how that went, and what it is signed with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Min

from daemon_programs.models.event import Event
from daemon_programs.models.program import Program


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def pending(self) -> DeliveryQuerySet:
        return self.filter(state=Delivery.PENDING)

    def heads(self) -> DeliveryQuerySet:
        """The first that is pending of each lane: the others wait behind it."""
        firsts = self.pending().order_by().values("program_id", "url").annotate(first=Min("id"))
        return self.filter(pk__in=firsts.values("first"))

    def due(self, by: datetime) -> DeliveryQuerySet:
        return self.heads().filter(next_attempt_at__lte=by)


class Delivery(models.Model):
    """One event for one URL: made in the transaction that records the event, delivered by the queue.

    What goes from one program to one URL is a *lane*: delivered in order, one after the other.
    """

    PENDING, DELIVERED, FAILED, CANCELLED = "pending", "delivered", "failed", "cancelled"
    STATES = (PENDING, DELIVERED, FAILED, CANCELLED)

    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    # Of the event. Not a foreign key: the log of what was delivered outlives the program.
    program_id = models.PositiveBigIntegerField()
    url = models.TextField()
    webhook_id = models.CharField(max_length=40, unique=True, help_text="The same for each attempt.")
    state = models.CharField(max_length=10, default=PENDING, choices=[(state, state) for state in STATES])
    error = models.TextField(blank=True, default="", help_text="Why it was given up, or cancelled.")
    queued_at = models.DateTimeField(help_text="When it was put on its way, the last time.")
    tries = models.PositiveIntegerField(default=0, help_text="Attempts since then.")
    next_attempt_at = models.DateTimeField(null=True, help_text="While it is pending.")
    # The oldest first: [{"at", "milliseconds", "code"?, "error"?}…]
    attempts: models.JSONField[Any, Any] = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["state", "program_id", "url"], name="delivery_lane"),
            models.Index(fields=["program_id", "id"], name="delivery_program"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.url}"

    @property
    def lane(self) -> tuple[int, str]:
        """What is delivered one after the other."""
        return self.program_id, self.url


class WebhookSecret(models.Model):
    """What a program's webhooks are signed with: shown once when it is made, never again.

    For a day after a change deliveries are signed with both, so that receivers can follow.
    """

    program = models.OneToOneField(Program, models.CASCADE, related_name="webhook_secret", primary_key=True)
    secret = models.CharField(max_length=100)
    previous = models.CharField(max_length=100, blank=True, default="")
    rotated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"webhook secret of {self.program}"


class WebhookCount(models.Model):
    """How often attempts have ended in which way, since the installation was made."""

    outcome = models.CharField(max_length=10, primary_key=True)
    total = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.outcome}: {self.total}"
