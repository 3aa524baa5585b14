"""The recorded state changes as a stream: each once and in order, however slowly a client reads.

One query brings what is new to all streams. Who lags further behind reads its own.
"""

from collections import deque
from collections.abc import Callable, Iterable

from django.db.models import Max

from daemon_programs.history.store import event_document
from daemon_programs.models import Event
from daemon_programs.streams import sse
from daemon_programs.streams.watcher import Watcher

_BLOCK = 500

Told = tuple[int, bytes]  # an event's id and its text


class Recent:
    """The newest events as they are told, read once for all streams. Used by the pump's thread alone."""

    def __init__(self) -> None:
        self._told: deque[Told] = deque(maxlen=2 * _BLOCK)
        self._stale = True

    def expire(self) -> None:
        self._stale = True

    def after(self, position: int) -> list[Told]:
        """What is new, a part at a time."""
        if self._stale:
            self._refresh()
            self._stale = False
        if not self._told or position >= self._told[-1][0]:
            return []
        if position < self._told[0][0]:
            return list(_texts(Event.objects.filter(pk__gt=position).order_by("id")[:_BLOCK]))
        return [each for each in self._told if each[0] > position][:_BLOCK]

    def _refresh(self) -> None:
        known = self._told[-1][0] if self._told else 0
        rows = list(Event.objects.filter(pk__gt=known).order_by("-id")[:_BLOCK])
        if len(rows) == _BLOCK:
            self._told.clear()  # there may be more between these and what was known
        self._told.extend(_texts(reversed(rows)))


recent = Recent()


class EventStream:
    """The events of one client, as the pump takes them (`pump.Source`)."""

    group = ""  # by which the recording of events is told
    looks_after_seconds = 0.0

    def __init__(self, *, last_event_id: int | None = None) -> None:
        """From now on, or from what comes after ``last_event_id``."""
        newest = Event.objects.aggregate(newest=Max("pk"))["newest"] or 0
        self._position = newest if last_event_id is None else last_event_id
        self._head = sse.RETRY
        if last_event_id is None:
            self._head += b"id: %d\n" % newest  # to go on from if the connection is lost before an event
        self._purged = last_event_id is not None and last_event_id > newest
        if self._purged:
            self._position = 0  # of another history, which began anew

    def open(self) -> None:
        pass

    def begin(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        recent.expire()
        return self._head + b"\n"

    def look(self) -> None:
        recent.expire()

    def pull(self) -> bytes:
        block = recent.after(self._position)
        if not block:
            return self._reset()
        if self._position and block[0][0] > self._position + 1:
            self._purged |= not Event.objects.filter(pk__lte=self._position).exists()
        self._position = block[-1][0]
        return self._reset() + b"".join(text for _, text in block)

    def close(self) -> None:
        pass

    def _reset(self) -> bytes:
        """Say once that events were removed before they were told."""
        purged, self._purged = self._purged, False
        return sse.event("reset", {"reason": "purged"}) if purged else b""


def _texts(events: Iterable[Event]) -> Iterable[Told]:
    for event in events:
        yield event.pk, sse.event("state", event_document(event), event.pk)
