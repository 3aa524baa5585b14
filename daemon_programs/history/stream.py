"""Stream the recorded state changes: each once and in order, however slowly a client reads.

New events are queried and formatted once for all streams. A stream that lags further behind queries
its own.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from django.db.models import Max

from daemon_programs.history.store import event_document
from daemon_programs.models import Event
from daemon_programs.models.program import PROGRAM_PREFIX
from daemon_programs.streams import sse
from daemon_programs.streams.watcher import Watcher

_BLOCK = 500


class FormattedEvent(NamedTuple):
    """An event as the streams show it."""

    id: int
    group: str  # supervisord's name of the program
    state: str
    text: bytes


class RecentEvents:
    """The newest events, formatted once for all streams. Only the pump's thread uses it."""

    def __init__(self) -> None:
        self._events: deque[FormattedEvent] = deque(maxlen=2 * _BLOCK)
        self._is_stale = True

    def expire(self) -> None:
        """Query the database again at the next call of ``after``."""
        self._is_stale = True

    def after(self, position: int) -> list[FormattedEvent]:
        """Return the first events after an id, at most a block of them."""
        if self._is_stale:
            self._refresh()
            self._is_stale = False
        if not self._events or position >= self._events[-1].id:
            return []
        if position < self._events[0].id:
            return list(_format(Event.objects.filter(pk__gt=position).order_by("id")[:_BLOCK]))
        return [event for event in self._events if event.id > position][:_BLOCK]

    def _refresh(self) -> None:
        known = self._events[-1].id if self._events else 0
        rows = list(Event.objects.filter(pk__gt=known).order_by("-id")[:_BLOCK])
        if len(rows) == _BLOCK:
            self._events.clear()  # there may be more events between the known ones and these
        if self._events and any(row.is_counting for row in rows):
            self._leave_out_deleted()
        self._events.extend(_format(reversed(rows)))

    def _leave_out_deleted(self) -> None:
        """Forget events that are only counted by now."""
        kept = set(Event.objects.filter(pk__gte=self._events[0].id).values_list("pk", flat=True))
        self._events = deque((event for event in self._events if event.id in kept), self._events.maxlen)


recent = RecentEvents()


class EventStream:
    """The events for one client, of all programs or some of them, as a source of the pump (`pump.Source`)."""

    group = ""  # the group named by the broadcast that events were recorded
    refresh_delay_seconds = 0.0
    look_seconds = 0.0
    files = 0

    def __init__(
        self, *, last_event_id: int | None = None, program: int | None = None, state: str | None = None
    ) -> None:
        """Start with the next event, or with the one after ``last_event_id``.

        Only events of the program with the id ``program``, and changes to ``state``, are sent.
        """
        self._state = state
        self._group = None if program is None else f"{PROGRAM_PREFIX}{program}"
        newest = Event.objects.aggregate(newest=Max("pk"))["newest"] or 0
        self._position = newest if last_event_id is None else last_event_id
        self._head = sse.RETRY
        if last_event_id is None:
            # For a client that loses the connection before it has received an event.
            self._head += b"id: %d\n" % newest
        self._purged = last_event_id is not None and last_event_id > newest
        if self._purged:
            self._position = 0  # the id is from an earlier history, before the database was replaced

    def open(self) -> None:
        """Do nothing: the position is known."""

    def start(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        """Return the start of the stream; events recorded since the request are queried next."""
        recent.expire()
        return self._head + b"\n"

    def refresh(self) -> None:
        """Have new events queried at the next pull."""
        recent.expire()

    def pull(self) -> bytes:
        """Return the next events, at most a block of them."""
        block = recent.after(self._position)
        if not block:
            return self._reset()
        if self._position and block[0].id > self._position + 1:
            self._purged |= not Event.objects.filter(pk__lte=self._position).exists()
        self._position = block[-1].id
        texts = [
            event.text
            for event in block
            if self._group in (None, event.group) and self._state in (None, event.state)
        ]
        # Without events, only the position: a client that reconnects continues from there.
        return self._reset() + (b"".join(texts) or b"id: %d\n\n" % self._position)

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _reset(self) -> bytes:
        """Return the event that says, once, that events were removed before they were sent."""
        purged, self._purged = self._purged, False
        return sse.event("reset", {"reason": "purged"}) if purged else b""


def _format(events: Iterable[Event]) -> Iterable[FormattedEvent]:
    for event in events:
        text = sse.event("state", event_document(event), event.pk)
        yield FormattedEvent(event.pk, event.group, event.state, text)
