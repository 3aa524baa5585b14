"""A program as supervisord holds it: edited and withdrawn without anybody having to wait.

A group can only be exchanged when nothing of it runs. So a change is noted, what runs is told to
stop, and the loop's next turns carry the change out: it does not matter whether the caller is still
there by then. The latest change noted wins.
"""

import time
from collections.abc import Iterable
from typing import Any, Protocol

from supervisor.process import ProcessGroup
from supervisor.states import RUNNING_STATES, STOPPED_STATES, ProcessStates, SupervisorStates

from daemon_programs.supervisor.plugin.configuration import ProgramGroupConfig
from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.process import ProgramProcess

# Each start costs about three milliseconds; the loop must not be away for a thousand of them.
_STARTS_PER_TURN = 20

# Who asks, where nobody of the API's does.
EXPIRED = "ttl"
SHUTDOWN = "shutdown"


class Holder(Protocol):
    """What a group needs of the registry that holds it."""

    def find(self, name: str) -> "ProgramGroup | None": ...

    def exchange(self, group: "ProgramGroup", config: ProgramGroupConfig, restart: Iterable[str]) -> None: ...

    def drop(self, name: str) -> None: ...


class ProgramGroup(ProcessGroup):
    """A program: its processes, those to be started, and the change that is under way."""

    config: ProgramGroupConfig
    context: Context

    def __init__(self, config: ProgramGroupConfig, registry: Holder) -> None:
        # Not stock supervisord's, which has each configuration make its process.
        self.config = config
        self.context = config.context
        self.registry = registry
        self.processes = {each.name: ProgramProcess(each, self) for each in config.process_configs}
        self.asleep = False
        self.to_start: list[str] = []
        self.next_config: ProgramGroupConfig | None = None
        self.withdrawn = False
        self.restarting: list[str] = []  # what is started again after the exchange
        self.cut_short: str | None = None  # why a temporary program was stopped, unless somebody asked
        self.changed_by = ""  # who asked for the change that is under way
        self.end_told = False
        self.expires_at: float | None = None  # of the monotonic clock
        if config.spec["expires_at"] is not None:
            self.expires_at = time.monotonic() + config.spec["expires_at"] - time.time()
            self.context.wakeup.at(self.expires_at)

    @property
    def changing(self) -> bool:
        return self.withdrawn or self.next_config is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, nor will by itself."""
        return not self.to_start and all(process.is_over for process in self.processes.values())

    def start(self, names: Iterable[str], by: str) -> None:
        """Start processes, a few at each turn; those that run are left alone."""
        self.wake()
        if self.changing:
            # Asked for while the program is being exchanged: it is what comes after that starts.
            self.restarting = sorted({*self.restarting, *names})
            self.changed_by = by
            return
        self.queue([name for name in names if self.processes[name].state not in RUNNING_STATES], by)
        self._start_some()

    def queue(self, names: Iterable[str], by: str) -> None:
        """Note processes to be started in the next turns."""
        for name in names:
            self.processes[name].start_by = by
            self.to_start.append(name)

    def stop(self, names: Iterable[str], by: str) -> None:
        """Stop processes, and forget what was still to be started of them."""
        self.wake()
        names = set(names)
        self.to_start = [name for name in self.to_start if name not in names]
        self.restarting = [name for name in self.restarting if name not in names]
        for name in names:
            self.processes[name].stop(by)

    def end_early(self, why: str) -> None:
        """Stop everything though nobody has asked for it; what ends anyway ends for its own reasons."""
        if self.to_start or any(process.wanted for process in self.processes.values()):
            self.cut_short = why
        self.stop(list(self.processes), why)

    def restart(self, names: Iterable[str], by: str) -> None:
        """Stop and start again, as one: the new process waits for the last of the old tree."""
        names = list(names)
        self.stop(names, by)
        self.start(names, by)

    def replace(self, config: ProgramGroupConfig, by: str) -> None:
        """Take a new configuration; what runs goes on with it, restarted only if it must be."""
        self.wake()
        if not self.changing and self.config.runs_the_same(config):
            self._adopt(config)
            return
        running = [name for name, process in self.processes.items() if process.wanted]
        self.restarting = sorted({*self.restarting, *self.to_start, *running})
        self.next_config = config
        self.withdrawn = False
        self._clear(by)

    def withdraw(self, by: str) -> None:
        """Stop everything, then vanish."""
        self.wake()
        self.withdrawn = True
        self.next_config = None
        self.restarting = []
        self._clear(by)

    def stop_all(self) -> None:
        """Supervisord's own, at its shutdown."""
        self.to_start = []
        super().stop_all()

    def get_unstopped_processes(self) -> list[ProgramProcess]:
        """Those that live on, also through the children that they have left behind."""
        return [
            process
            for process in self.processes.values()
            if process.ending or process.state not in STOPPED_STATES
        ]

    def wake(self) -> None:
        """Something has changed: the next turns look at the group until nothing is due any more."""
        self.asleep = False

    def transition(self) -> None:
        """The loop's turn: what is due of the processes, then of the group.

        Each turn comes by every group there is, so those of which nothing is due sleep.
        """
        if self.asleep:
            return
        if self.registry.find(self.config.name) is not self:
            return  # exchanged earlier in this turn, which goes by a list made at its beginning
        with self.context.contained(f"{self.config.name} could not be looked after"):
            self._transition()
            self.asleep = self._has_nothing_due()

    def _has_nothing_due(self) -> bool:
        """Whether only a call, or the end of a process, can change anything."""
        if self.to_start or self.changing or self.config.spec["temporary"]:
            return False
        return all(process.has_nothing_due for process in self.processes.values())

    def _transition(self) -> None:
        super().transition()
        if self.config.spec["temporary"]:
            self._transition_temporary()
        if self.changing and not self.get_unstopped_processes():
            self._exchange()
        elif self.to_start:
            self._start_some()

    def _transition_temporary(self) -> None:
        """Keep to the time to live, and say once when everything is over."""
        if self.expires_at is not None and time.monotonic() >= self.expires_at:
            self.expires_at = None
            self.end_early(EXPIRED)
        if self.is_over and not self.end_told:
            self.end_told = True
            self.context.announce_end(self.config.name, self.snapshot())

    def _clear(self, by: str) -> None:
        self.changed_by = by
        self.to_start = []
        for process in self.processes.values():
            process.stop(by)
        if not self.get_unstopped_processes():
            self._exchange()

    def _adopt(self, config: ProgramGroupConfig) -> None:
        """Exchange the configuration under processes that stay as they are."""
        for process_config in config.process_configs:
            self.processes[process_config.name].config = process_config
        self.config = config

    def _exchange(self) -> None:
        if self.next_config is None:
            self.registry.drop(self.config.name)
        else:
            self.registry.exchange(self, self.next_config, self.restarting)

    def _start_some(self) -> None:
        if self.config.options.mood <= SupervisorStates.RESTARTING:
            self.to_start = []
            return
        batch, self.to_start = self.to_start[:_STARTS_PER_TURN], self.to_start[_STARTS_PER_TURN:]
        for name in batch:
            process = self.processes[name]
            if process.state not in RUNNING_STATES:
                process.spawn()
        if self.to_start:
            self.context.wakeup.poke()

    def snapshot(self) -> dict[str, Any]:
        """The group's part of ``states``: only processes that have something to tell.

        ``queued`` means that a start has been asked for and has not begun.
        """
        queued = {*self.to_start, *self.restarting}
        processes = {}
        for name, process in self.processes.items():
            if process.start_requested or name in queued:
                processes[name] = {**process.snapshot(), "queued": True}
            elif process.state != ProcessStates.STOPPED or process.last_run:
                processes[name] = process.snapshot()
        shown: dict[str, Any] = {
            "changing": self.changing,
            "digest": self.config.digest,
            "processes": processes,
        }
        if self.config.spec["temporary"]:
            shown.update(over=self.is_over, cut_short=self.cut_short)
        return shown
