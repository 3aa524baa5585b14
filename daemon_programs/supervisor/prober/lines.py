"""Find a pattern in the lines that a process prints, whatever the pattern and the lines are.

Both are input of users, and some patterns take longer than the universe has time. Therefore lines are cut,
and a timer interrupts the search: Python's `re` handles signals while it searches.
"""

import re
import signal
import time
from collections.abc import Iterable
from types import FrameType

_MOST_BYTES_OF_LINE = 4096
# How long a pattern may be searched for: so many seconds, and this part of the time since the start.
_SEARCH_SECONDS = 0.1
_SEARCH_SHARE = 0.01


class Lines:
    """Puts pieces of output together to lines, of which it keeps the beginnings."""

    def __init__(self) -> None:
        self._rests: dict[str, bytes] = {}

    def complete(self, channel: str, piece: bytes) -> list[str]:
        """Return the lines that a piece completes."""
        *lines, rest = piece.split(b"\n")
        if lines:
            lines[0] = self._rests.get(channel, b"") + lines[0]
            self._rests[channel] = rest[:_MOST_BYTES_OF_LINE]
        else:
            self._rests[channel] = (self._rests.get(channel, b"") + rest)[:_MOST_BYTES_OF_LINE]
        return [line[:_MOST_BYTES_OF_LINE].rstrip(b"\r").decode(errors="replace") for line in lines]


class Pattern:
    """A regular expression with a limited time to be found."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._compiled: re.Pattern[str] | None = None
        self._began = time.monotonic()
        self._spent = 0.0

    def occurs_in(self, lines: Iterable[str]) -> bool:
        """Return whether one of the lines matches.

        Raise TimeoutError if the pattern takes too long, and what `re.compile` raises if it can't be used.
        """
        began = time.monotonic()
        try:
            left = _SEARCH_SECONDS + (began - self._began) * _SEARCH_SHARE - self._spent
            with _Limit(left):
                if self._compiled is None:
                    self._compiled = re.compile(self._expression)
                search = self._compiled.search
                return any(search(line) for line in lines)
        finally:
            self._spent += time.monotonic() - began


class _Limit:
    """Raise TimeoutError in the block when it takes longer than so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_on = False

    def __enter__(self) -> None:
        if self._seconds <= 0:
            raise TimeoutError
        self._is_on = True
        signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *exception: object) -> None:
        self._is_on = False
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self._is_on:
            raise TimeoutError
