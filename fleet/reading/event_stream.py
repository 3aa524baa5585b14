"""The events of all hosts as a stream. Another process records them, so the stream looks each second."""

import time
from collections.abc import Callable, Sequence

from django.db.models import Max

from daemon_programs.streams import sse
from daemon_programs.streams.watcher import Watcher
from daemon_programs.validators.labels import Selector
from fleet.models import FollowedEvent
from fleet.reading.hosts import all_hosts, chooser

_BLOCK = 500
_LOOK_SECONDS = 1.0


class _Newest:
    """The newest id, looked up once a second for all streams. Only the pump's thread uses it."""

    def __init__(self) -> None:
        self._id = 0
        self._looked_at = 0.0

    def id(self) -> int:
        """Return the id of the newest event."""
        now = time.monotonic()
        if now - self._looked_at > _LOOK_SECONDS / 2:
            self._id = newest_id()
            self._looked_at = now
        return self._id


def newest_id() -> int:
    """Return the id of the newest event of any host; 0 without one."""
    return FollowedEvent.objects.aggregate(newest=Max("pk"))["newest"] or 0


_newest = _Newest()


class FleetEventStream:
    """The events of hosts for one client, as a source of the pump (`pump.Source`)."""

    group = "fleet"  # of which nothing is broadcast
    refresh_delay_seconds = 0.0
    look_seconds = _LOOK_SECONDS
    files = 0

    def __init__(
        self,
        names: Sequence[str],
        labels: Sequence[Selector],
        *,
        state: str | None = None,
        last_event_id: int | None = None,
    ) -> None:
        """Start with the next event, or with the one after ``last_event_id``.

        Only events of the hosts with these names and labels, and changes to ``state``, are sent.
        """
        self._is_chosen = chooser(names, labels)
        self._state = state
        self._hosts: dict[int, str | None] = {}  # names by id, None of those that are not chosen
        newest = newest_id()
        self._position = newest if last_event_id is None else last_event_id
        # For a client that loses the connection before it has received an event.
        self._head = sse.RETRY + (b"id: %d\n" % newest if last_event_id is None else b"")
        self._purged = last_event_id is not None and last_event_id > newest
        if self._purged:
            self._position = 0  # the id is of another database

    def open(self) -> None:
        """Do nothing: the position is known."""

    def start(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        """Return the start of the stream."""
        return self._head + b"\n"

    def refresh(self) -> None:
        """Do nothing: the next pull looks."""

    def pull(self) -> bytes:
        """Return the next events, at most a block of them."""
        if _newest.id() <= self._position:
            return self._reset()
        rows = list(
            FollowedEvent.objects.filter(pk__gt=self._position)
            .order_by("pk")
            .values_list("pk", "host", "state", "document")[:_BLOCK]
        )
        if not rows:
            return self._reset()
        if self._position and rows[0][0] > self._position + 1:
            self._purged |= not FollowedEvent.objects.filter(pk__lte=self._position).exists()
        self._position = rows[-1][0]
        texts = b"".join(
            sse.event("state", {"id": id, "host": name, "event": document}, id)
            for id, host, state, document in rows
            if (name := self._name_of(host)) is not None and self._state in (None, state)
        )
        # Without events, only the position: a client that reconnects continues from there.
        return self._reset() + (texts or b"id: %d\n\n" % self._position)

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _name_of(self, host: int) -> str | None:
        """Return the name of a host; None if it is not chosen, or gone."""
        if host not in self._hosts:
            self._hosts = {each.id: each.name if self._is_chosen(each) else None for each in all_hosts()}
        return self._hosts.setdefault(host, None)

    def _reset(self) -> bytes:
        """Return the event that says, once, that events were removed before they were sent."""
        purged, self._purged = self._purged, False
        return sse.event("reset", {"reason": "purged"}) if purged else b""
