"""Keep state changes in memory and in order until the event listener has recorded them.

The listener is woken by one event of supervisord's, however many entries there are. It then fetches
them in batches, and acknowledges what it has recorded with its next call. So no entry is lost while it
is not running, and none is recorded twice: entries are numbered, and ``boot`` identifies the supervisord
that numbers them.
"""

import secrets
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from daemon_programs.supervisor.states import JournalBatch

_MOST_ENTRIES = 100_000
_MOST_PER_BATCH = 1000


class Journal:
    """The entries that are not recorded yet. ``poke`` is called to wake a sleeping event listener."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(8)
        self.poke: Callable[[], None] = lambda: None
        self._poked = False
        self._entries: deque[dict[str, Any]] = deque()
        self._last = 0
        self._lost = 0
        self._lost_until = 0  # the number of the last lost entry

    def add(self, entry: dict[str, Any]) -> None:
        """Append an entry, and wake the event listener if it sleeps."""
        if len(self._entries) >= _MOST_ENTRIES:
            # The listener was down for too long: give up on all entries, and report how many are lost.
            self._lose_all()
        self._last += 1
        self._entries.append({**entry, "number": self._last})
        if not self._poked:
            self._poked = True
            self.poke()

    def forget(self, number: int) -> None:
        """Drop the entries up to ``number``: they are recorded, and so is a loss up to there."""
        if number >= self._lost_until:
            self._lost = 0
        while self._entries and self._entries[0]["number"] <= number:
            self._entries.popleft()

    def batch(self) -> JournalBatch:
        """Return the next entries.

        After a loss there are none: the event listener records the present states instead.
        """
        if self._lost:
            self._lose_all()
        entries = list(islice(self._entries, _MOST_PER_BATCH))
        self._poked = bool(entries)  # after an empty batch the listener sleeps until it is poked
        return {"boot": self.boot, "last": self._last, "entries": entries, "lost": self._lost}

    def _lose_all(self) -> None:
        self._lost += len(self._entries)
        self._lost_until = self._last
        self._entries.clear()
