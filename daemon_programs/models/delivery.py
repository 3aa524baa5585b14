"""Webhooks on their way: what is to be delivered where, how that went, and what it is signed with."""

from __future__ import annotations

from typing import Any

from django.db import models

from daemon_programs.models.event import Event
from daemon_programs.models.program import Program


class Delivery(models.Model):
    """One event for one URL: made in the transaction that records the event, delivered by the queue."""

    PENDING, DELIVERED, FAILED, CANCELLED = "pending", "delivered", "failed", "cancelled"

    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    url = models.TextField()
    webhook_id = models.CharField(max_length=40, unique=True, help_text="The same for each attempt.")
    state = models.CharField(
        max_length=10,
        default=PENDING,
        choices=[(state, state) for state in (PENDING, DELIVERED, FAILED, CANCELLED)],
    )
    next_attempt_at = models.DateTimeField(null=True, help_text="While it is pending.")
    # The oldest first: [{"at", "code", "milliseconds", "error"}…]
    attempts: models.JSONField[Any, Any] = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="delivery_due")]

    def __str__(self) -> str:
        return f"{self.event} to {self.url}"


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
