"""What the programs of a running supervisord share: its settings, and the ways to wake and to tell."""

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from daemon_programs.supervisor.plugin.broadcast import Broadcast
from daemon_programs.supervisor.plugin.journal import Journal
from daemon_programs.supervisor.plugin.keys import Keys
from daemon_programs.supervisor.plugin.orphans import Orphans
from daemon_programs.supervisor.plugin.wakeup import Wakeup


@dataclass(frozen=True)
class Limits:
    """What programs are kept to; an empty tuple means no limit."""

    users: tuple[str, ...]
    work_roots: tuple[str, ...]
    log_roots: tuple[str, ...]
    logs: str  # the folder of default logs
    open_files: tuple[int, int]  # soft and hard, as supervisord was started with


@dataclass(frozen=True)
class Context:
    """Built once by the interface's factory, before anything is started."""

    options: Any  # supervisord's
    wakeup: Wakeup
    broadcast: Broadcast
    journal: Journal
    orphans: Orphans
    keys: Keys
    limits: Limits
    notes_folder: str
    passed_environment: tuple[str, ...]  # names of variables that programs are given of supervisord's own

    @property
    def log(self) -> Callable[[str], None]:
        """Write a line to supervisord's log, whatever its level."""
        return self.options.logger.critical

    @contextmanager
    def contained(self, what: str) -> Iterator[None]:
        """Keep a fault to the program that it is about: uncaught, it would end supervisord."""
        try:
            yield
        except Exception:
            self.log(f"{what}: {traceback.format_exc()}")

    def announce_change(self, change: dict[str, Any]) -> None:
        """Tell waiting requests and the event listener that a process has changed its state."""
        self._broadcast(change)
        self.journal.add(change)

    def announce_end(self, group: str, state: dict[str, Any]) -> None:
        """Tell waiting requests and the event listener that a temporary program is over."""
        self.announce_settled(group)
        self.journal.add({"group": group, "end": state})

    def announce_settled(self, group: str) -> None:
        """Tell waiting requests that a change of a group, or the end of a tree, is complete."""
        self._broadcast({"group": group, "settled": True})

    def announce_recorded(self) -> None:
        """Tell event streams that there is more in the history now."""
        self._broadcast({"group": "", "recorded": True})

    def _broadcast(self, line: dict[str, Any]) -> None:
        self.broadcast.send(json.dumps(line).encode() + b"\n")
