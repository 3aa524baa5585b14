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
from daemon_programs.supervisor.processes.table import Process, Table
from daemon_programs.supervisor.states import ProgramState

_CORES = os.cpu_count() or 1


class Usage(NamedTuple):
    """The usage of a process tree."""

    cpu_seconds: float  # since the root was started, including processes that have ended
    memory_rss_bytes: int
    process_count: int


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
        table = Table()
        trees = {
            owner: processes
            for owner, pids in stats.roots(programs).items()
            if (processes := _tree_of(table, pids))
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


def _cpu_seconds(processes: list[Process]) -> float:
    return sum(process.cpu_seconds + process.waited_cpu_seconds for process in processes)


def _tree_of(table: Table, root_pids: list[int]) -> list[Process]:
    """Return the processes of a tree; none if the first root has ended since supervisord reported it."""
    pids = stats.walk_tree(root_pids, table.children)
    found = [table.processes[pid] for pid in pids if pid in table.processes]
    is_current = found and found[0].identity.pid == root_pids[0] and found[0].is_alive
    return found if is_current else []
