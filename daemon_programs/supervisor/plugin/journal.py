"""What has happened and is not recorded yet: kept in order until the event listener says it is.

The listener is only poked (one event of supervisord's, however much there is to tell); it then takes
what there is in batches and says how far it has recorded it. So nothing is lost while it is away, and
nothing is told twice: each entry has a number, and each supervisord its own ``boot``.
"""

import secrets
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

_MOST_ENTRIES = 100_000
_MOST_PER_BATCH = 1000


class Journal:
    """``poke`` is called when there is something new for an event listener that sleeps."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(8)
        self.poke: Callable[[], None] = lambda: None
        self._poked = False
        self._entries: deque[dict[str, Any]] = deque()
        self._last = 0
        self._lost = 0
        self._lost_until = 0  # the number of the last entry that was lost

    def add(self, entry: dict[str, Any]) -> None:
        if len(self._entries) >= _MOST_ENTRIES:
            # The listener has been away for too long. What is left would have a hole in its middle.
            self._lose_all()
        self._last += 1
        self._entries.append({**entry, "number": self._last})
        if not self._poked:
            self._poked = True
            self.poke()

    def forget(self, number: int) -> None:
        """Forget what is recorded; a loss only when it has been told."""
        if number >= self._lost_until:
            self._lost = 0
        while self._entries and self._entries[0]["number"] <= number:
            self._entries.popleft()

    def batch(self) -> dict[str, Any]:
        """The next entries; ``lost``: how many are missing, after which only the present counts."""
        if self._lost:
            self._lose_all()
        entries = list(islice(self._entries, _MOST_PER_BATCH))
        self._poked = bool(entries)  # with nothing left it will sleep until it is poked
        return {"boot": self.boot, "last": self._last, "entries": entries, "lost": self._lost}

    def _lose_all(self) -> None:
        self._lost += len(self._entries)
        self._lost_until = self._last
        self._entries.clear()
