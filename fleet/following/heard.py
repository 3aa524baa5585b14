"""What was heard of a host and is not written yet."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from fleet.following.known import Usage

_MOST_MINUTES = 10  # of usage that wait: what each program used is much while the database is away


class ProgramNow(NamedTuple):
    """A program as it is to be written."""

    document: dict[str, Any]
    usage: Usage | None


class UsageOfHost(NamedTuple):
    """The usage of all programs of a host at a time."""

    at: datetime
    programs: dict[int, Usage]


@dataclass
class Heard:
    """What a host has told, in the order in which it is to be written: it is one transaction."""

    events: list[dict[str, Any]] = field(default_factory=list)
    position: int | None = None  # in the host's history, after these events
    # The number after which the hub's events are not in the host's history, which was replaced by another.
    replaced_after: int | None = None
    programs: dict[int, ProgramNow | None] = field(default_factory=dict)  # None: removed
    has_all_programs: bool = False  # what is not among them is gone
    usage: list[UsageOfHost] = field(default_factory=list)
    link: dict[str, Any] = field(default_factory=dict)  # fields that have changed

    def add(self, later: "Heard") -> None:
        """Add what was heard after this."""
        if later.replaced_after is not None:
            self.replaced_after = later.replaced_after
            self.events = [event for event in self.events if event["id"] <= later.replaced_after]
        self.events += later.events
        if later.position is not None:
            self.position = later.position
        if later.has_all_programs:
            self.programs, self.has_all_programs = dict(later.programs), True
        else:
            self.programs.update(later.programs)
        self.usage = (self.usage + later.usage)[-_MOST_MINUTES:]
        self.link.update(later.link)

    @property
    def can_wait(self) -> bool:
        """Return whether it only says that nothing has changed."""
        return self.link.keys() == {"heard_at"} and len(self) == 1 and self.position is None

    def __len__(self) -> int:
        return len(self.events) + len(self.programs) + len(self.usage) + 1
