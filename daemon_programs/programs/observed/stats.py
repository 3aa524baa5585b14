"""Measure the CPU and memory of whole process trees (docs/contract.md, section 4).

The process table is read at most once, however many programs are measured. A tree consists of everything
that descends from a program's process or from its orphaned processes, which supervisord reports.

``cpu_percent`` is the share of one core (100 is one fully used core) since the last measurement of the
process. Within a second of that, its result is repeated. The first measurement of a process, or the first
one in ten minutes, gives the average over its lifetime.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from daemon_programs.models import Program
from daemon_programs.programs.observed.statuses import key_in
from daemon_programs.supervisor.processes import table, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.timestamps import iso

_MIN_INTERVAL_SECONDS = 1.0
_FORGET_AFTER_SECONDS = 600.0
_MAX_COMMAND_CHARACTERS = 4096

# Returns the pids of the children of a pid.
Children = Callable[[int], Iterable[int]]
Read = Callable[[int], table.Process | None]


class _Sample(NamedTuple):
    at: float  # monotonic
    cpu_seconds: float
    percent: float


class CpuMeter:
    """Compute CPU shares from the CPU time that each process had used when it was last measured."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[tree.Identity, _Sample] = {}
        self._cleaned_at = time.monotonic()

    def percent(self, identity: tree.Identity, cpu_seconds: float) -> float:
        """Return ``cpu_percent`` of a process as the module defines it."""
        now = time.monotonic()
        with self._lock:
            self._clean(now)
            last = self._samples.get(identity)
            if last is None:
                share = cpu_seconds / max(table.seconds_since_start(identity), 0.01)
            elif now - last.at >= _MIN_INTERVAL_SECONDS:
                share = (cpu_seconds - last.cpu_seconds) / (now - last.at)
            else:
                return last.percent
            percent = round(max(share, 0.0) * 100, 1)
            self._samples[identity] = _Sample(now, cpu_seconds, percent)
        return percent

    def _clean(self, now: float) -> None:
        """Forget the processes that were not measured for a while; most of them have ended."""
        if now - self._cleaned_at < _FORGET_AFTER_SECONDS:
            return
        self._cleaned_at = now
        self._samples = {
            key: sample for key, sample in self._samples.items() if now - sample.at < _FORGET_AFTER_SECONDS
        }


_meter = CpuMeter()


def measure(programs: dict[str, ProgramState]) -> dict[Owner, dict[str, Any]]:
    """Return the ``stats`` of each live process by owner; ``programs`` are states by group."""
    trees = roots(programs)
    # One tree is walked by looking up children pid by pid. For several, one pass over the table is faster.
    children: Children = tree.children
    read: Read = table.read
    if len(trees) > 1:
        seen = table.Table()
        children, read = seen.children, seen.processes.get
    started_at = {
        Owner(group, name): process["started_at"]
        for group, state in programs.items()
        for name, process in state["processes"].items()
        if process.get("pid")
    }
    return {
        owner: measured
        for owner, pids in trees.items()
        if (measured := _tree_stats(pids[0], started_at[owner], walk_tree(pids, children), read))
    }


def roots(programs: dict[str, ProgramState]) -> dict[Owner, list[int]]:
    """Return the roots of each live process' tree by owner: its own pid, then its orphaned processes."""
    return {
        Owner(group, name): [process["pid"], *process.get("orphans", [])]
        for group, state in programs.items()
        for name, process in state["processes"].items()
        if process.get("pid")
    }


def walk_tree(root_pids: list[int], children: Children) -> Iterator[int]:
    """Yield the pids of a tree, breadth first.

    Each pid is yielded once. A pid that is reused meanwhile could otherwise make a circle of the tree.
    """
    queue = list(root_pids)
    seen = set(root_pids)
    while queue:
        pid = queue.pop(0)
        yield pid
        found = sorted(set(children(pid)) - seen)
        seen.update(found)
        queue.extend(found)


def add_to_instances(
    program: Program, instances: list[dict[str, Any]], measured: dict[Owner, dict[str, Any]]
) -> None:
    """Add ``stats`` to the live instances of a program."""
    for instance in instances:
        if own := measured.get(Owner(program.group, key_in(instance).process)):
            instance["stats"] = own


def _tree_stats(root: int, started_at: float, pids: Iterator[int], read: Read) -> dict[str, Any] | None:
    found = (read(pid) for pid in pids)
    processes = [_process_stats(process) for process in found if process and process.is_alive]
    if not processes or processes[0]["pid"] != root:
        return None  # it has ended since supervisord reported it
    return {
        "pid": root,
        "started_at": iso(started_at),
        "cpu_percent": round(sum(process["cpu_percent"] for process in processes), 1),
        "memory_rss_bytes": sum(process["memory_rss_bytes"] for process in processes),
        "process_count": len(processes),
        "processes": processes,
    }


def _process_stats(process: table.Process) -> dict[str, Any]:
    pid = process.identity.pid
    return {
        "pid": pid,
        "command": table.command(pid).decode("utf-8", "replace")[:_MAX_COMMAND_CHARACTERS],
        "cpu_percent": _meter.percent(process.identity, process.cpu_seconds),
        "memory_rss_bytes": process.memory_rss_bytes,
    }
