"""The processes of a program as a tree, each with its usage."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from daemon_programs.programs.observed import stats
from daemon_programs.supervisor.processes import table
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProgramState


class Branch(NamedTuple):
    """A process in its tree."""

    depth: int  # 0 for the program's own process, and for orphaned ones
    stats: dict[str, Any]  # as in the ``processes`` of ``stats``


def trees(group: str, state: ProgramState | None) -> dict[str, list[Branch]]:
    """Return the processes of a program by supervisord's name of its instance, each after its parent."""
    measured = stats.measure({group: state}) if state else {}
    return {
        owner.process: list(_in_order(each["processes"]))
        for owner, each in sorted(measured.items(), key=lambda item: _natural(item[0]))
    }


def _natural(owner: Owner) -> tuple[int, str]:
    """Sort ports and numbers by their value."""
    return len(owner.process), owner.process


def _in_order(processes: list[dict[str, Any]]) -> Iterator[Branch]:
    pids = {process["pid"] for process in processes}
    children: dict[int, list[dict[str, Any]]] = {}
    for process in processes:
        read = table.read(process["pid"])
        parent = read.parent if read and read.parent in pids else 0
        children.setdefault(parent, []).append(process)
    # The last one that is noted comes next: a process' children follow it, oldest first.
    noted = [Branch(0, process) for process in reversed(children.pop(0, []))]
    while noted:
        branch = noted.pop()
        yield branch
        below = children.pop(branch.stats["pid"], [])
        noted.extend(Branch(branch.depth + 1, process) for process in reversed(below))
