"""The process table: of each process what one look at ``/proc/<pid>/stat`` tells. Does not import Django."""

import os
import time
from typing import NamedTuple

from daemon_programs.supervisor.processes import tree

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Process(NamedTuple):
    """A row of the process table."""

    identity: tree.Identity
    parent: int
    is_alive: bool  # a zombie is not
    cpu_seconds: float
    waited_cpu_seconds: float  # of ended children that it has waited for
    memory_rss_bytes: int


class Table:
    """The process table at one moment."""

    def __init__(self) -> None:
        self.processes = {pid: process for pid in tree.processes() if (process := read(pid))}
        self._children: dict[int, list[int]] = {}
        for pid, process in self.processes.items():
            self._children.setdefault(process.parent, []).append(pid)

    def children(self, pid: int) -> list[int]:
        """Return the pids of a process' children."""
        return self._children.get(pid, [])


def read(pid: int) -> Process | None:
    """Return a process; None if it has ended."""
    fields = tree.stat(pid)
    if fields is None:
        return None
    return Process(
        tree.Identity(pid, int(fields[19])),
        parent=int(fields[1]),
        is_alive=tree.is_alive(fields),
        cpu_seconds=(int(fields[11]) + int(fields[12])) * _TICK_SECONDS,
        waited_cpu_seconds=(int(fields[13]) + int(fields[14])) * _TICK_SECONDS,
        memory_rss_bytes=int(fields[21]) * _PAGE_BYTES,
    )


def command(pid: int) -> bytes:
    """Return the command line of a process, or its name if it has none; empty if it has ended."""
    for source, separator in (("cmdline", b"\0"), ("comm", b"\n")):
        try:
            with open(f"/proc/{pid}/{source}", "rb") as file:
                if text := file.read().removesuffix(separator):
                    return text.replace(b"\0", b" ")
        except OSError:
            break
    return b""


def seconds_since_start(identity: tree.Identity) -> float:
    """Return for how long a process has been there."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_at(identity)


def started_at(identity: tree.Identity) -> float:
    """Return when a process was started, in seconds of ``CLOCK_BOOTTIME``."""
    return identity.start_time * _TICK_SECONDS
