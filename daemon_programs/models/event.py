"""The history: one row for each state change that the event listener has recorded."""

from __future__ import annotations

from django.db import models

from daemon_programs.models.program import PROGRAM_PREFIX
from daemon_programs.supervisor.instances import KINDS, Key


class EventQuerySet(models.QuerySet["Event"]):
    """Select the events of a program."""

    def of_program(self, id: int) -> EventQuerySet:
        """Return the events of the program with an id, and of its instances."""
        return self.filter(group=f"{PROGRAM_PREFIX}{id}")

    def of_process(self, event: Event) -> EventQuerySet:
        """Return the events of the process that an event is about."""
        return self.filter(group=event.group, port=event.port, instance=event.instance)


class Event(models.Model):
    """A state change of a program or of one of its instances. Ids are in the order of recording.

    An event outlives its program. Therefore it has no foreign key, but the name that the program had.
    """

    at = models.DateTimeField("time", help_text="When it happened, to the millisecond.")
    group = models.CharField(max_length=64, help_text="Supervisord's name of the program.")
    name = models.CharField(max_length=128, help_text="The program's name at that time.")
    port = models.PositiveIntegerField(null=True, help_text="Of an instance of a port range.")
    instance = models.PositiveIntegerField(null=True, help_text="The number of one of several instances.")
    from_state = models.CharField(max_length=10)
    state = models.CharField(max_length=10)
    pid = models.PositiveIntegerField(null=True)
    exit_code = models.IntegerField(null=True)
    signal = models.CharField(max_length=20, blank=True, default="")
    error = models.TextField(blank=True, default="")
    by = models.CharField("asked by", max_length=20, help_text="Or what brought it about.")
    user = models.CharField(max_length=150, blank=True, default="", help_text="Empty if no one requested it.")
    is_gap = models.BooleanField(
        "gap", default=False, help_text="Not told by supervisord: something in between was lost."
    )
    # Of the event that ends a round of a loop: what the round consists of, and how many such rounds in a row
    # there have been. See `history.loops`.
    round_digest = models.CharField(max_length=16, blank=True, default="", editable=False)
    rounds = models.PositiveIntegerField(default=0, editable=False)
    # The position in the plugin's journal, so that no entry is recorded twice.
    boot = models.CharField(max_length=32, blank=True, default="")
    number = models.BigIntegerField(null=True)

    KEPT_ROUNDS = 10  # further ones that are identical are only counted

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["boot", "number"], name="event_recorded_once")]
        indexes = [
            models.Index(fields=["group", "id"], name="event_group"),
            models.Index(fields=["group", "port", "instance", "id"], name="event_process"),
            models.Index(fields=["at"], name="event_at"),
        ]

    def __str__(self) -> str:
        return f"{self.display_name}: {self.from_state} → {self.state}"

    @property
    def display_name(self) -> str:
        """Return the name of the program, or of the instance, at that time."""
        return self.name if self.key is None else f"{self.name}_{self.key.value}"

    @property
    def key(self) -> Key | None:
        """Return the key of the instance; None for the only process of a program."""
        for kind in KINDS:
            value = getattr(self, kind.name)
            if value is not None:
                return Key(kind, value)
        return None

    @property
    def is_counting(self) -> bool:
        """Return whether the event stands for the rounds of a loop that are not kept."""
        return self.repeated > 1

    @property
    def repeated(self) -> int:
        """Return for how many rounds of a loop the event stands; 1 for any other event."""
        return max(self.rounds - self.KEPT_ROUNDS, 1)

    @property
    def program_id(self) -> int | None:
        """Return the id of the program; None for a temporary program."""
        is_program = self.group.startswith(PROGRAM_PREFIX)
        return int(self.group.removeprefix(PROGRAM_PREFIX)) if is_program else None

    @property
    def temporary_id(self) -> str | None:
        """Return the id of the temporary program; None for other programs."""
        return None if not self.group or self.program_id is not None else self.group
