"""How many requests to hosts may be under way: each holds a thread of this hub while its host answers."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from daemon_programs.exceptions import TooManyWaits
from daemon_programs.supervisor.gateway import changes


class Room:
    """The requests to hosts among those that wait.

    They share the limit of requests that wait for programs here, and a single host may have half of that: one
    that does not answer keeps no one from the others.
    """

    def __init__(self, most_of_a_host: int) -> None:
        self._most_of_a_host = most_of_a_host
        self._lock = threading.Lock()
        self._by_host: Counter[str] = Counter()

    @contextmanager
    def taken(self, host: str) -> Iterator[None]:
        """Count a request in this block; raise TooManyWaits if there are too many."""
        with self._lock:
            if self._by_host[host] >= self._most_of_a_host:
                raise TooManyWaits(f"Too many requests wait for host '{host}' already; try again later")
            self._by_host[host] += 1
        try:
            with changes.watch():
                yield
        finally:
            with self._lock:
                self._by_host[host] -= 1
                if not self._by_host[host]:
                    del self._by_host[host]


room = Room(settings.THREADS // 4)
