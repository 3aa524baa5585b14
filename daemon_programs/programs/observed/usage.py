"""Measure the usage of all programs as plain numbers, in one pass over the process table.

This is for monitoring systems, which ask about all programs every few seconds. ``stats`` describes the same
process trees for people, each process with its command.
"""

import os
import threading
import time
from typing import NamedTuple

from daemon_programs.programs.observed import stats
from daemon_programs.supervisor.processes import tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProgramState

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CORES = os.cpu_count() or 1


class Usage(NamedTuple):
    """The usage of a process tree."""

    cpu_seconds: float  # since the root was started, including processes that have ended
    memory_rss_bytes: int
    process_count: int


class _Process(NamedTuple):
    """A row of the process table."""

    identity: tree.Identity
    parent: int
    is_alive: bool  # a zombie is not
    cpu_seconds: float  # its own, and those of ended children that it has waited for
    memory_rss_bytes: int


class _Count(NamedTuple):
    at: float  # monotonic
    seen: float  # the CPU seconds of the processes that were present
    total: float


class CpuCounter:
    """Count the CPU seconds of process trees, as totals that never decrease.

    The kernel adds the CPU time of an ended process to the parent that waits for its end. If that parent is
    outside of the tree, the tree loses the time. Therefore the totals are kept here.
    """

    def __init__(self) -> None:
        self._counts: dict[tree.Identity, _Count] = {}

    def count(self, seen: dict[tree.Identity, float], now: float) -> dict[tree.Identity, float]:
        """Return the totals by root, from the CPU seconds ``seen`` in all the trees that exist ``now``."""
        self._counts = {root: self._count(root, seconds, now) for root, seconds in seen.items()}
        return {root: count.total for root, count in self._counts.items()}

    def _count(self, root: tree.Identity, seconds: float, now: float) -> _Count:
        last = self._counts.get(root)
        if last is None:
            return _Count(now, seconds, seconds)
        # A process may be missed between its parent's end and its adoption. When it is seen again, its whole
        # time would be added: add no more than all cores can have used since.
        possible = (now - last.at) * _CORES + 1
        return _Count(now, seconds, last.total + min(max(seconds - last.seen, 0.0), possible))


_counter = CpuCounter()
_lock = threading.Lock()  # an older measurement must not be counted after a newer one


def measure(programs: dict[str, ProgramState]) -> dict[Owner, Usage]:
    """Return the usage of each live process' tree by owner; ``programs`` are the states of all, by group."""
    with _lock:
        table = _Table()
        trees = {
            owner: processes
            for owner, pids in stats.roots(programs).items()
            if (processes := table.tree_of(pids))
        }
        seen = {processes[0].identity: _cpu_seconds(processes) for processes in trees.values()}
        totals = _counter.count(seen, time.monotonic())
    return {
        owner: Usage(
            cpu_seconds=totals[processes[0].identity],
            memory_rss_bytes=sum(process.memory_rss_bytes for process in processes),
            process_count=sum(process.is_alive for process in processes),
        )
        for owner, processes in trees.items()
    }


def _cpu_seconds(processes: list[_Process]) -> float:
    return sum(process.cpu_seconds for process in processes)


class _Table:
    """The process table at one moment."""

    def __init__(self) -> None:
        self.processes = {pid: process for pid in tree.processes() if (process := _read(pid))}
        self._children: dict[int, list[int]] = {}
        for pid, process in self.processes.items():
            self._children.setdefault(process.parent, []).append(pid)

    def children(self, pid: int) -> list[int]:
        """Return the pids of a process' children."""
        return self._children.get(pid, [])

    def tree_of(self, root_pids: list[int]) -> list[_Process]:
        """Return the processes of a tree; none if the first root has ended since supervisord reported it."""
        pids = stats.walk_tree(root_pids, self.children)
        found = [self.processes[pid] for pid in pids if pid in self.processes]
        is_current = found and found[0].identity.pid == root_pids[0] and found[0].is_alive
        return found if is_current else []


def _read(pid: int) -> _Process | None:
    fields = tree.stat(pid)
    if fields is None:
        return None
    return _Process(
        tree.Identity(pid, int(fields[19])),
        parent=int(fields[1]),
        is_alive=tree.is_alive(fields),
        cpu_seconds=sum(map(int, fields[11:15])) * _TICK_SECONDS,
        memory_rss_bytes=int(fields[21]) * _PAGE_BYTES,
    )
