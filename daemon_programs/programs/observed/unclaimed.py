"""Processes that supervisord has adopted, and that belong to no program.

They have changed the limit that marks the processes of programs (`supervisor.processes.marks`). They end
with the stack, or by hand.
"""

from pathlib import Path
from typing import TypedDict

_MAX_SHOWN = 100


class UnclaimedProcess(TypedDict):
    """A process that belongs to no program."""

    pid: int
    command: str  # the kernel's short name of it


def describe(pids: list[int]) -> list[UnclaimedProcess]:
    """Return at most 100 of the processes that are still alive."""
    described = (_describe(pid) for pid in pids[:_MAX_SHOWN])
    return [process for process in described if process is not None]


def _describe(pid: int) -> UnclaimedProcess | None:
    try:
        command = Path(f"/proc/{pid}/comm").read_bytes().decode(errors="replace").rstrip("\n")
    except OSError:
        return None  # it has ended since supervisord answered
    return {"pid": pid, "command": command}
