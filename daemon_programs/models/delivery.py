"""Webhook deliveries, the secrets that sign them, and counts of their outcomes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Min

from daemon_programs.models.event import Event
from daemon_programs.models.program import Program


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Select the deliveries that the dispatch needs."""

    def pending(self) -> DeliveryQuerySet:
        """Return the deliveries that are neither finished nor cancelled."""
        return self.filter(state=Delivery.PENDING)

    def heads(self) -> DeliveryQuerySet:
        """Return the first pending delivery of each lane; the others of the lane wait for it."""
        firsts = self.pending().order_by().values("program_id", "url").annotate(first=Min("id"))
        return self.filter(pk__in=firsts.values("first"))

    def due(self, by: datetime) -> DeliveryQuerySet:
        """Return the heads of lanes whose next attempt is due by a time."""
        return self.heads().filter(next_attempt_at__lte=by)


class Delivery(models.Model):
    """The delivery of one event to one URL.

    The row is created in the transaction that records the event, and the queue delivers it. The deliveries
    from one program to one URL form a *lane*: they are made in order, one after the other.
    """

    PENDING, DELIVERED, FAILED, CANCELLED = "pending", "delivered", "failed", "cancelled"
    STATES = (PENDING, DELIVERED, FAILED, CANCELLED)

    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    # The event's program. No foreign key, because the delivery log outlives the program.
    program_id = models.PositiveBigIntegerField()
    url = models.TextField()
    webhook_id = models.CharField(max_length=40, unique=True, help_text="The same for each attempt.")
    state = models.CharField(max_length=10, default=PENDING, choices=[(state, state) for state in STATES])
    error = models.TextField(blank=True, default="", help_text="Why it was given up, or cancelled.")
    queued_at = models.DateTimeField(help_text="When it was put on its way, the last time.")
    tries = models.PositiveIntegerField(default=0, help_text="Attempts since then.")
    next_attempt_at = models.DateTimeField(null=True, help_text="While it is pending.")
    # Oldest first: [{"at", "milliseconds", "code"?, "error"?}…]
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
        """Return what identifies the lane: the program's id and the URL."""
        return self.program_id, self.url


class WebhookSecret(models.Model):
    """The secret that signs a program's webhooks. It is shown only once, when it is created.

    For 24 hours after it was rotated, deliveries are signed with the previous secret too, so that receivers
    have time to switch.
    """

    program = models.OneToOneField(Program, models.CASCADE, related_name="webhook_secret", primary_key=True)
    secret = models.CharField(max_length=100)
    previous = models.CharField(max_length=100, blank=True, default="")
    rotated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"webhook secret of {self.program}"


class WebhookCount(models.Model):
    """How often deliveries had one outcome since the stack was installed."""

    outcome = models.CharField(max_length=10, primary_key=True)
    total = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.outcome}: {self.total}"
