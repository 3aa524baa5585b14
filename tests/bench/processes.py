"""Processes, read from ``/proc`` at no cost for the contenders: who is there, their memory and CPU time."""

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from daemon_programs.supervisor.processes.tree import children, descend, identify, processes, send, stat

# What all programs run. It outlives the benchmark, and does nothing meanwhile.
PROGRAM = "sleep"
COMMAND = f"{PROGRAM} 100000"

# How long anything may take before its contender is out of the row.
LIMIT_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


def wait(check: Callable[[], Any], what: str, pause: float = 0.0005) -> None:
    """Check at shorter intervals than what is measured."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {LIMIT_SECONDS:.0f} s")
        time.sleep(pause)


def timed(action: Callable[[], Any]) -> float:
    """Return the milliseconds that an action takes."""
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1000


def wait_for_programs(daemon: int, number: int) -> None:
    """Wait until so many programs run, past their exec."""
    running: set[int] = set()

    def all_run() -> bool:
        candidates = set(children(daemon))
        if len(candidates) < number:
            return False
        running.update(pid for pid in candidates - running if is_program(pid))
        return len(running) >= number

    wait(all_run, f"{number} programs run", pause=0.01)


def is_program(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == f"{PROGRAM}\n"
    except OSError:
        return False


def family(daemon: int) -> set[int]:
    """Return the daemon and its descendants, without the programs."""
    return {identity.pid for identity in descend([daemon]) if not is_program(identity.pid)}


def memory(pids: Iterable[int]) -> float:
    """Return the memory of processes in MB: what they share with others counts by their part (PSS)."""
    return sum(map(_kilobytes, pids)) / 1024


def _kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def cpu_seconds(pids: Iterable[int]) -> dict[int, float]:
    """Return the CPU time of each process and of its children that have ended."""
    found = {pid: stat(pid) for pid in pids}
    return {pid: sum(map(int, fields[11:15])) / _TICKS for pid, fields in found.items() if fields}


def kill_marked(variable: str) -> None:
    """Kill all processes that have this in their environment, until there are none."""
    mark = variable.encode()
    while found := [pid for pid in processes() if mark in _environment(pid)]:
        for identity in filter(None, map(identify, found)):
            send(identity, signal.SIGKILL)
        time.sleep(0.01)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
