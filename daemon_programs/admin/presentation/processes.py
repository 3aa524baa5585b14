"""The process trees of a program, as rows with their usage."""

from collections.abc import Iterator
from typing import Any

from daemon_programs.exceptions import DaemonError
from daemon_programs.models import Program
from daemon_programs.programs import waiting
from daemon_programs.programs.observed.trees import Branch, trees
from daemon_programs.supervisor.instances import key_of

_MOST_ROWS = 300
_MOST_LEVELS = 12  # of indentation: deeper processes stand below each other


def process_rows(program: Program) -> dict[str, Any]:
    """Return the template context of a program's processes; the first of them, if there are very many."""
    try:
        found = trees(program.group, waiting.state_of(program))
    except DaemonError as problem:
        return {"problem": str(problem)}
    rows = list(_rows(program, found))
    return {"rows": rows[:_MOST_ROWS], "left_out": max(len(rows) - _MOST_ROWS, 0)}


def _rows(program: Program, found: dict[str, list[Branch]]) -> Iterator[dict[str, Any]]:
    for process, branches in found.items():
        key = None if program.keys is None else key_of(process)
        for number, branch in enumerate(branches):
            yield {
                "instance": key if number == 0 else None,
                "level": min(branch.depth, _MOST_LEVELS),
                **branch.stats,
            }
