"""Roll-outs: one change of many hosts, a few at a time, and what has become of it on each."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now


class RolloutQuerySet(models.QuerySet["Rollout"]):
    """Select roll-outs by what is to be done with them."""

    def active(self) -> RolloutQuerySet:
        """Return the roll-outs that something is still to be done for."""
        under_way = RolloutPart.objects.filter(rollout=OuterRef("pk"), state=RolloutPart.State.RUNNING)
        driven = (Rollout.State.RUNNING, Rollout.State.ROLLING_BACK)
        is_to_end = Q(state=Rollout.State.CANCELLED, ended_at__isnull=True)
        return self.filter(Q(state__in=driven) | is_to_end | Exists(under_way))


class Rollout(models.Model):
    """A change of many hosts. Its parts say what becomes of each; the order is that of their places."""

    class State(models.TextChoices):
        """How it stands with a roll-out."""

        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"
        ROLLING_BACK = "rolling_back", "rolling back"
        ROLLED_BACK = "rolled_back", "rolled back"

    class Kind(models.TextChoices):
        """The route of the hosts that a roll-out calls."""

        APPLY = "apply", "apply"
        BATCH = "batch", "batch"

    ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.ROLLED_BACK)

    kind = models.CharField(max_length=10, choices=Kind.choices)
    body: models.JSONField = models.JSONField(help_text="What each host is asked for.")
    user = models.CharField("asked by", max_length=150)
    # The person that hosts are asked for now: who has begun, resumed or rolled it back last.
    acting_for = models.CharField(max_length=150)
    at_once = models.PositiveIntegerField(default=1, help_text="How many hosts are changed at a time.")
    max_failures = models.PositiveIntegerField(default=0, help_text="With more it stops.")
    settle_seconds = models.PositiveIntegerField(
        default=0, help_text="How long the programs of a host must stay well before the next host."
    )
    skip_lost = models.BooleanField(default=False, help_text="Whether lost hosts are skipped, not failures.")
    state = models.CharField(max_length=20, choices=State.choices, default=State.RUNNING, db_index=True)
    made_at = models.DateTimeField("time", db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    objects = RolloutQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"roll-out {self.pk} ({self.kind})"

    @property
    def timeout(self) -> int:
        """Return how many seconds a host has until its programs are ready."""
        return int(self.body.get("timeout", 30))


def make_key() -> str:
    """Return what the keys of a part's requests begin with: no hub has it twice, nor two hubs the same."""
    return uuid.uuid4().hex


class RolloutPart(models.Model):
    """What a roll-out does on one host: requests, sent one after the other, each carried out once.

    Everything that is needed to go on after a kill is in the row. Who works on it holds the lease.
    """

    class State(models.TextChoices):
        """How it stands with a part."""

        PENDING = "pending", "pending"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        UNKNOWN = "unknown", "unknown"
        SKIPPED = "skipped", "skipped"
        ROLLED_BACK = "rolled_back", "rolled back"

    rollout = models.ForeignKey(Rollout, models.CASCADE, related_name="parts")
    host = models.CharField(max_length=63, help_text="Its name; the part outlives the host.")
    place = models.PositiveIntegerField()
    key = models.CharField(max_length=32, default=make_key, editable=False)
    state = models.CharField(max_length=20, choices=State.choices, default=State.PENDING)
    is_going_back = models.BooleanField(default=False)
    error = models.TextField(blank=True, default="")
    code = models.PositiveIntegerField(null=True, help_text="The status of the host's answer.")
    answer: models.JSONField[Any, Any] = models.JSONField(null=True, help_text="The host's own.")
    attempts = models.PositiveIntegerField(default=0, help_text="Requests that were sent to change the host.")
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    # The programs concerned as they were, with their statuses. None until the host has told.
    former: models.JSONField[Any, Any] = models.JSONField(null=True)
    # What is sent: [{"route", "body"}…], and which of them is next. None until they are known.
    requests: models.JSONField[Any, Any] = models.JSONField(null=True)
    position = models.PositiveIntegerField(default=0)
    has_keys = models.BooleanField(default=False)  # whether the host carries a request with a key out once
    sent_at = models.DateTimeField(null=True)  # of the request at `position`, if its answer is not known
    silent_since = models.DateTimeField(null=True)  # since when the host can't be reached
    settles_until = models.DateTimeField(null=True)
    # When it is to be looked at, and the lease of the worker that does.
    due_at = models.DateTimeField(null=True)
    holder = models.CharField(max_length=100, blank=True, default="")
    held_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["rollout", "place"]
        constraints = [models.UniqueConstraint(fields=["rollout", "host"], name="rollout_part_once")]
        indexes = [models.Index(fields=["rollout", "state"], name="rollout_part_state")]

    def __str__(self) -> str:
        return f"{self.host}: {self.state}"


STATES = tuple(Rollout.State.values)
PART_STATES = tuple(RolloutPart.State.values)
