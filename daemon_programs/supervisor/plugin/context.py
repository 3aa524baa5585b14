"""The settings and services that all programs of a running supervisord share."""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from daemon_programs.supervisor.plugin.memory import MemoryWatch
from daemon_programs.supervisor.plugin.orphans import Orphans
from daemon_programs.supervisor.plugin.sockets.broadcast import Broadcast
from daemon_programs.supervisor.plugin.sockets.journal import Journal
from daemon_programs.supervisor.plugin.sockets.notices import Notices
from daemon_programs.supervisor.plugin.sockets.probing import Probing
from daemon_programs.supervisor.plugin.wakeup import Wakeup
from daemon_programs.supervisor.processes.marks import Marks
from daemon_programs.supervisor.states import ProgramState


@dataclass(frozen=True)
class Limits:
    """Limits that apply to all programs; an empty tuple means no limit."""

    users: tuple[str, ...]
    work_roots: tuple[str, ...]
    log_roots: tuple[str, ...]
    logs: str  # the folder of logs without a configured path
    open_files: tuple[int, int]  # the soft and hard limit that supervisord was started with


@dataclass(frozen=True)
class Context:
    """Settings and services of the plugin. Built by the plugin's factory before anything is started."""

    options: Any  # supervisord's
    wakeup: Wakeup
    broadcast: Broadcast
    probing: Probing
    notices: Notices
    journal: Journal
    memory: MemoryWatch
    orphans: Orphans
    marks: Marks
    limits: Limits
    notes_folder: str
    passed_environment: tuple[str, ...]  # names of the variables that programs inherit from supervisord

    @property
    def log(self) -> Callable[[str], None]:
        """A function that writes a line to supervisord's log, whatever the log level is."""
        return self.options.logger.critical

    @contextmanager
    def contained(self, what: str) -> Iterator[None]:
        """Log an exception as ``what``: uncaught, the fault of one program would end supervisord."""
        try:
            yield
        except Exception:
            self.log(f"{what}: {traceback.format_exc()}")

    def announce_change(self, change: dict[str, Any]) -> None:
        """Notify waiting requests and the event listener of a process' state change."""
        self._broadcast(change)
        self.journal.add(change)

    def announce_end(self, group: str, state: ProgramState) -> None:
        """Notify waiting requests and the event listener of the final end of a temporary program."""
        self.announce_settled(group)
        self.journal.add({"group": group, "end": state})

    def announce_settled(self, group: str) -> None:
        """Notify waiting requests that a change of a group, or the end of a tree, is complete."""
        self._broadcast({"group": group, "settled": True})

    def announce_recorded(self) -> None:
        """Notify event streams that events were added to the history."""
        self._broadcast({"group": "", "recorded": True})

    def _broadcast(self, line: dict[str, Any]) -> None:
        self.broadcast.send(json.dumps(line).encode() + b"\n")
