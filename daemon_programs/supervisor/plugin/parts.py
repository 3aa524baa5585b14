"""The parts of the stack itself (API, queue, event listener): marked and noted like programs.

Stock supervisord starts them. Here each is marked on its way, so that nothing of it is lost when it is
killed, and is told when supervisord dies: a part without a supervisord would go on answering.
"""

import ctypes
import os
import signal
from typing import Any

from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.processes import marks, notes
from daemon_programs.supervisor.processes.marks import Claim
from daemon_programs.supervisor.processes.notes import Owner

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Part:
    """One process of the stack, and the mark that all its runs carry."""

    def __init__(self, process: Any, context: Context) -> None:
        self.owner = Owner(process.group.config.name, process.config.name)
        self._context = context
        self._supervisord = os.getpid()
        self._claim: Claim | None = None
        mark = context.marks.take(is_root=True)
        if mark is not None:
            self._claim = Claim(mark, os.geteuid())
            context.orphans.claim(self._claim, self.owner)
            with context.contained(f"{self.owner.process} could not be noted"):
                notes.announce(context.notes_folder, self.owner, self._claim)
        self._spawn, self._become = process.spawn, process._spawn_as_child
        process.spawn, process._spawn_as_child = self.spawn, self.become

    def spawn(self) -> int | None:
        """Start it, and note it for the next start of the stack."""
        pid: int | None = self._spawn()
        if pid:
            with self._context.contained(f"{self.owner.process} could not be noted"):
                notes.write(self._context.notes_folder, self.owner, pid, self._claim)
        return pid

    def become(self, filename: str, argv: list[str]) -> None:  # pragma: no cover  (in the child)
        """In the child: carry the mark, and end when supervisord does."""
        if self._claim is not None:
            marks.carry(self._claim.mark)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != self._supervisord:  # it has died in between
            os._exit(127)
        self._become(filename, argv)
