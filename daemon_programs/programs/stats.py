"""What programs use: whole process trees, measured in one sweep of the process table.

However many programs are asked about, the table is read at most once (contract, section 4). A tree is what
descends from a program's process, and what it has left behind: its orphans, which supervisord names.

``cpu_percent`` is the share of one core (100 is one core kept busy) since the last time that the
process was measured, if that is a second or more ago; until then it stays what it was, and when a
process is seen for the first time (or for the first time in ten minutes) it is the average over its
life. The same everywhere.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import psutil

from daemon_programs.models import Program
from daemon_programs.supervisor.processes import tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.timestamps import iso

_MEASURED_ANEW_SECONDS = 1.0
_FORGOTTEN_SECONDS = 600.0
_LONGEST_COMMAND = 4096

# From a pid to those of its children.
Children = Callable[[int], Iterable[int]]


class _Sample(NamedTuple):
    at: float  # monotonic
    cpu_seconds: float
    percent: float


class CpuMeter:
    """Remembers how much time each process had used when it was last looked at."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[tuple[int, float], _Sample] = {}
        self._tidied_at = time.monotonic()

    def percent(self, pid: int, created: float, cpu_seconds: float) -> float:
        """The share of one core, as this module's docstring defines it."""
        now = time.monotonic()
        key = (pid, created)
        with self._lock:
            self._tidy(now)
            last = self._samples.get(key)
            if last is None:
                share = cpu_seconds / max(time.time() - created, 0.01)
            elif now - last.at >= _MEASURED_ANEW_SECONDS:
                share = (cpu_seconds - last.cpu_seconds) / (now - last.at)
            else:
                return last.percent
            percent = round(max(share, 0.0) * 100, 1)
            self._samples[key] = _Sample(now, cpu_seconds, percent)
        return percent

    def _tidy(self, now: float) -> None:
        """Forget processes that nobody has asked about for long; most of them are gone."""
        if now - self._tidied_at < _FORGOTTEN_SECONDS:
            return
        self._tidied_at = now
        self._samples = {
            key: sample for key, sample in self._samples.items() if now - sample.at < _FORGOTTEN_SECONDS
        }


_meter = CpuMeter()


def measure(programs: dict[str, ProgramState]) -> dict[Owner, dict[str, Any]]:
    """The ``stats`` of each live process of the programs (their states by group), by owner."""
    trees = roots(programs)
    # The way down from a single process is short; that of a thousand is longer than the whole table.
    children = _sweep() if len(trees) > 1 else tree.children
    return {
        owner: measured
        for owner, begin in trees.items()
        if (measured := _tree_stats(begin[0], walk_tree(begin, children)))
    }


def roots(programs: dict[str, ProgramState]) -> dict[Owner, list[int]]:
    """The pids that the tree of each live process begins with: its own, then those of its orphans."""
    return {
        Owner(group, name): [process["pid"], *process.get("orphans", [])]
        for group, state in programs.items()
        for name, process in state["processes"].items()
        if process.get("pid")
    }


def walk_tree(begin: list[int], children: Children) -> Iterator[int]:
    """The pids of a tree, each once: meanwhile a pid may have gone to another process."""
    waiting = list(begin)
    seen = set(begin)
    while waiting:
        pid = waiting.pop(0)
        yield pid
        found = sorted(set(children(pid)) - seen)
        seen.update(found)
        waiting.extend(found)


def add_to_instances(
    program: Program, instances: list[dict[str, Any]], measured: dict[Owner, dict[str, Any]]
) -> None:
    """Add ``stats`` to the live instances of a port range."""
    for instance in instances:
        if own := measured.get(Owner(program.group, str(instance["port"]))):
            instance["stats"] = own


def _sweep() -> Children:
    """Whose children are whose, by one look at the whole process table."""
    children: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        try:
            children.setdefault(process.ppid(), []).append(process.pid)
        except psutil.Error:
            continue  # it has ended since
    return lambda pid: children.get(pid, [])


def _tree_stats(root: int, pids: Iterator[int]) -> dict[str, Any] | None:
    processes = [measured for pid in pids if (measured := _process_stats(pid))]
    if not processes or processes[0]["pid"] != root:
        return None  # it has ended since supervisord answered
    try:
        started_at = psutil.Process(root).create_time()
    except psutil.Error:
        return None
    return {
        "pid": root,
        "started_at": iso(started_at),
        "cpu_percent": round(sum(process["cpu_percent"] for process in processes), 1),
        "memory_rss_bytes": sum(process["memory_rss_bytes"] for process in processes),
        "process_count": len(processes),
        "processes": processes,
    }


def _process_stats(pid: int) -> dict[str, Any] | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1:
                return None  # with more, only its main thread has ended
            times = process.cpu_times()
            return {
                "pid": process.pid,
                "command": _command(process),
                "cpu_percent": _meter.percent(process.pid, process.create_time(), times.user + times.system),
                "memory_rss_bytes": process.memory_info().rss,
            }
    except psutil.Error:
        return None


def _command(process: psutil.Process) -> str:
    """The command line as text: bytes that are no UTF-8 are replaced."""
    try:
        command = " ".join(process.cmdline())
    except psutil.ZombieProcess:
        command = ""  # its main thread has ended, and what it was given with it
    command = command or process.name()
    return command.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:_LONGEST_COMMAND]
