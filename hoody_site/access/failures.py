"""Log failed logins and tokens: one line a minute with their numbers, however many they are."""

import contextlib
import logging
import threading
from collections import Counter

logger = logging.getLogger(__name__)

_INTERVAL_SECONDS = 60.0


class FailureLog:
    """Write a line for the first failure at once, and those of the following minute as one line after it.

    What was entered is not logged: people type passwords into the wrong field.
    """

    def __init__(self, interval: float = _INTERVAL_SECONDS) -> None:
        self._interval = interval
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()
        self._client = ""
        self._is_waiting = False

    def add(self, what: str, client: str) -> None:
        """Count a failure; ``what`` is its kind in the plural, as the line has it."""
        with self._lock:
            self._numbers[what] += 1
            self._client = client
            if not self._is_waiting:
                self._write()

    def _write(self) -> None:
        """Write the line, and wait before the next one. The lock is held."""
        numbers = ", ".join(f"{number} {what}" for what, number in self._numbers.items())
        logger.warning("Since the last such line: %s; the latest from %s", numbers, self._client)
        self._numbers.clear()
        timer = threading.Timer(self._interval, self._tick)
        timer.daemon = True
        with contextlib.suppress(
            RuntimeError
        ):  # no room for a thread: the next failure has a line of its own
            timer.start()
            self._is_waiting = True

    def _tick(self) -> None:
        with self._lock:
            self._is_waiting = False
            if self._numbers:
                self._write()


failure_log = FailureLog()
