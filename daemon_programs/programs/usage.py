"""What programs use, as bare figures: of all of them, by one pass over the process table.

``stats`` tells of the same trees what a person wants to know, each process with its command. This is for
monitoring systems, which ask about everything every few seconds.
"""

import os
import threading
import time
from typing import NamedTuple

from daemon_programs.programs import stats
from daemon_programs.supervisor.processes import tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProgramState

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_CORES = os.cpu_count() or 1


class Usage(NamedTuple):
    """What the processes of a tree use together."""

    cpu_seconds: float  # since the tree's first process was started, also by those that have ended
    memory_rss_bytes: int
    process_count: int


class _Process(NamedTuple):
    """A line of the process table."""

    identity: tree.Identity
    parent: int
    is_alive: bool  # a zombie is not
    cpu_seconds: float  # its own, and of those children that it has waited for
    memory_rss_bytes: int


class _Count(NamedTuple):
    at: float  # monotonic
    seen: float  # what those who were there had used
    total: float


class CpuCounter:
    """Counts what whole trees have used: that never becomes less.

    The kernel credits what a process has used to the parent that waits for its end. If nobody of the tree
    does, it is lost with the process: hence the memory.
    """

    def __init__(self) -> None:
        self._counts: dict[tree.Identity, _Count] = {}

    def count(self, seen: dict[tree.Identity, float], now: float) -> dict[tree.Identity, float]:
        """The totals of all the trees there are, by their roots, from what is seen of them ``now``."""
        self._counts = {root: self._count(root, seconds, now) for root, seconds in seen.items()}
        return {root: count.total for root, count in self._counts.items()}

    def _count(self, root: tree.Identity, seconds: float, now: float) -> _Count:
        last = self._counts.get(root)
        if last is None:
            return _Count(now, seconds, seconds)
        # One that was not seen between its parent's end and its adoption brings nothing new when it is back.
        possible = (now - last.at) * _CORES + 1
        return _Count(now, seconds, last.total + min(max(seconds - last.seen, 0.0), possible))


_counter = CpuCounter()
_one_at_a_time = threading.Lock()  # an older look must not be counted after a newer one


def measure(programs: dict[str, ProgramState]) -> dict[Owner, Usage]:
    """What the trees of the live processes use, by owner; ``programs`` are all there are, by group."""
    with _one_at_a_time:
        table = _Table()
        trees = {
            owner: processes
            for owner, begin in stats.roots(programs).items()
            if (processes := table.tree_of(begin))
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
    """The process table: what each process uses, and whose children are whose."""

    def __init__(self) -> None:
        self.processes = {pid: process for pid in tree.processes() if (process := _read(pid))}
        self._children: dict[int, list[int]] = {}
        for pid, process in self.processes.items():
            self._children.setdefault(process.parent, []).append(pid)

    def children(self, pid: int) -> list[int]:
        return self._children.get(pid, [])

    def tree_of(self, begin: list[int]) -> list[_Process]:
        """The processes of a tree; none if its root has ended since supervisord told of it."""
        pids = stats.walk_tree(begin, self.children)
        found = [self.processes[pid] for pid in pids if pid in self.processes]
        is_there = found and found[0].identity.pid == begin[0] and found[0].is_alive
        return found if is_there else []


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
