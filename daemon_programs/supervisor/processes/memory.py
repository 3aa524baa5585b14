"""Measure the memory of a process tree, in steps that each take a fraction of a millisecond.

A tree's memory is the sum of what its processes have resident (RSS), as in the API's ``stats``. Pages that
processes share count for each of them. The proportional share (PSS) would be fairer, but the kernel has to
walk through the page tables for it, which takes milliseconds for each GiB and a privilege that containers
lack. Does not import Django.
"""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator

from daemon_programs.supervisor.processes import table


class Measurement:
    """One pass through a tree, which ends early once more than ``enough`` bytes are found."""

    def __init__(self, roots: Iterable[int], enough: int) -> None:
        self.bytes = 0
        self._enough = enough
        self._steps = self._walk(roots)

    @property
    def is_enough(self) -> bool:
        """Whether more than enough was found so far."""
        return self.bytes > self._enough

    def go_on(self, until: float) -> bool:
        """Go on until a time of the monotonic clock; return whether the pass is complete."""
        for _ in self._steps:
            if self.is_enough:
                return True
            if time.monotonic() >= until:
                return False
        return True

    def _walk(self, roots: Iterable[int]) -> Iterator[None]:
        waiting, seen = deque(roots), set[int]()
        while waiting:
            pid = waiting.popleft()
            if pid in seen:
                continue
            seen.add(pid)
            if process := table.read(pid):
                self.bytes += process.memory_rss_bytes
            yield
            for children in _children(pid):
                waiting.extend(children)
                yield


def _children(pid: int) -> Iterator[list[int]]:
    """Yield the children of each thread of a process: there may be thousands of threads."""
    try:
        with os.scandir(f"/proc/{pid}/task") as threads:
            for thread in threads:
                yield _children_of_thread(f"{thread.path}/children")
    except OSError:
        return  # it has ended


def _children_of_thread(listing: str) -> list[int]:
    try:
        with open(listing, "rb") as children:
            return list(map(int, children.read().split()))
    except OSError:
        return []
