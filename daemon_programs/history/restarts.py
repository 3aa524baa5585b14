"""Count how often programs were restarted without a request, from the history.

The rounds of a loop that are only counted (see `history.loops`) have no times of their own: of those, a
share is taken that fits the time asked about.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db.models import Count, Max, Q

from daemon_programs.models import Event

_AUTOMATIC = ("supervisord", "memory", "max_runtime")  # what starts a process again, as `by` says
_WINDOWS_MINUTES = (1, 10)
_FLAPPING_FROM = 3  # restarts in a window


class Flapping(NamedTuple):
    """A program that is restarted again and again."""

    restarts: int
    minutes: int  # in how many

    def __str__(self) -> str:
        window = "a minute" if self.minutes == 1 else f"{self.minutes} minutes"
        return f"restarted {self.restarts} × in {window}"


def restarts_since(moment: datetime) -> dict[str, int]:
    """Return the number of automatic restarts by group, of the groups that have had any."""
    recent = Event.objects.filter(at__gte=moment)
    kept = recent.filter(state="starting", by__in=_AUTOMATIC).order_by().values("group")
    counts = Counter({row["group"]: row["count"] for row in kept.annotate(count=Count("pk"))})
    for group, rounds in _counted_rounds(recent.filter(rounds__gt=Event.KEPT_ROUNDS), moment):
        counts[group] += rounds
    return dict(counts)


def flapping(groups: Iterable[str] | None = None) -> dict[str, Flapping]:
    """Return by group which programs are flapping; ``groups`` are those asked about, all by default."""
    now = datetime.now(UTC)
    wanted = None if groups is None else set(groups)
    found: dict[str, Flapping] = {}
    for minutes in reversed(_WINDOWS_MINUTES):  # the shortest that applies is shown
        for group, restarts in restarts_since(now - timedelta(minutes=minutes)).items():
            if restarts >= _FLAPPING_FROM and (wanted is None or group in wanted):
                found[group] = Flapping(restarts, minutes)
    return found


def _counted_rounds(counting: Iterable[Event], moment: datetime) -> Iterator[tuple[str, int]]:
    """Yield the group of each loop, and how many of its counted rounds are not before ``moment``."""
    for event in counting:
        began = _last_kept_round(event)
        lasted = (event.at - began).total_seconds() if began else 0
        since = (event.at - moment).total_seconds()
        share = 1.0 if began is None or lasted <= since else since / lasted
        yield event.group, round((event.rounds - Event.KEPT_ROUNDS) * share)


def _last_kept_round(counting: Event) -> datetime | None:
    kept = (
        Event.objects.of_process(counting).filter(pk__lt=counting.pk).filter(~Q(rounds__gt=Event.KEPT_ROUNDS))
    )
    return kept.aggregate(at=Max("at"))["at"]
