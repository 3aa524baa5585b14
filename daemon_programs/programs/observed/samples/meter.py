"""Measure what the process trees of programs have used since they were last measured.

This is the meter of the samples alone. ``stats`` and ``usage`` have their own, whose figures depend on when
their clients ask.
"""

import os
from collections.abc import Iterable

from daemon_programs.programs.observed.samples.rings import Sample
from daemon_programs.supervisor.processes.table import Process, Table, started_at
from daemon_programs.supervisor.processes.tree import Identity
from daemon_programs.supervisor.states import ProgramState

_CORES = os.cpu_count() or 1
# The clock of start times has ticks of its own.
_TOLERANCE_SECONDS = 0.05

# CPU seconds of each process of a program's trees: its own, and those of the children it has waited for.
_Tree = dict[Identity, tuple[float, float]]


class Meter:
    """Remember the CPU time of each process, by program."""

    def __init__(self) -> None:
        self._trees: dict[str, _Tree] = {}
        self._at: float | None = None

    def measure(self, programs: dict[str, ProgramState], table: Table, now: float) -> dict[str, Sample]:
        """Return what each program that runs has used since the last call; nothing at the first one.

        ``now`` is the time of ``CLOCK_BOOTTIME``, by which the kernel gives the start of processes.
        """
        before, since = self._trees, self._at
        found = {group: _processes(table, state) for group, state in programs.items()}
        running = {group: tree for group, tree in found.items() if any(each.is_alive for each in tree)}
        self._at = now
        self._trees = {
            group: {each.identity: (each.cpu_seconds, each.waited_cpu_seconds) for each in tree}
            for group, tree in running.items()
        }
        if since is None or now <= since:
            return {}
        most = 100.0 * _CORES
        return {
            group: Sample(
                min(_used(self._trees[group], before.get(group, {}), since) / (now - since) * 100, most),
                sum(each.memory_rss_bytes for each in tree),
            )
            for group, tree in running.items()
        }


def _processes(table: Table, state: ProgramState) -> list[Process]:
    """Return the processes of all trees of a program."""
    found: dict[int, Process] = {}
    waiting = list(_roots(state))
    while waiting:
        pid = waiting.pop()
        process = table.processes.get(pid)
        if process is not None and pid not in found:
            found[pid] = process
            waiting += table.children(pid)
    return list(found.values())


def _roots(state: ProgramState) -> Iterable[int]:
    for process in state["processes"].values():
        if process.get("pid"):
            yield process["pid"]
            yield from process.get("orphans", ())


def _used(now: _Tree, before: _Tree, since: float) -> float:
    """Return the CPU seconds that a program has used since its trees were as ``before``."""
    own = waited = 0.0
    for identity, (cpu, waited_cpu) in now.items():
        last = before.get(identity)
        if last is None:
            # What is older, and was not seen, has used its time before.
            is_new = started_at(identity) >= since - _TOLERANCE_SECONDS
            last = (0.0, 0.0) if is_new else (cpu, waited_cpu)
        own += cpu - last[0]
        waited += waited_cpu - last[1]
    # The time of a process that has ended is added to the parent that has waited for it, if any has.
    ended = sum(sum(before[identity]) for identity in before.keys() - now.keys())
    return max(own, 0.0) + max(waited - ended, 0.0)
