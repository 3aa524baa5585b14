"""A program in supervisord, which can be replaced and withdrawn without blocking the caller.

A group can be replaced only when nothing of it runs. So a change is noted and the running processes are
stopped; later turns of supervisord's loop carry the change out, whether or not the caller still waits.
The last requested change wins.
"""

import math
import time
from collections.abc import Callable, Iterable
from signal import Signals
from typing import Protocol
from weakref import WeakMethod

from supervisor.process import ProcessGroup
from supervisor.states import STOPPED_STATES, ProcessStates, SupervisorStates

from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.programs.configuration import ProgramGroupConfig
from daemon_programs.supervisor.plugin.programs.dependencies import Dependencies
from daemon_programs.supervisor.plugin.programs.process import ProgramProcess
from daemon_programs.supervisor.states import ProcessState, ProgramState, Unmet

# A start takes about three milliseconds; a thousand at once would block the loop for seconds.
_STARTS_PER_TURN = 20

# Causes of a stop that was not requested: see `daemon_programs.actors`.
EXPIRED = "ttl"
SHUTDOWN = "shutdown"
MEMORY = "memory"


def _weak(method: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls a method as long as its object is in use.

    A deadline may be days away, and a group that was removed must not be kept for it.
    """
    reference = WeakMethod(method)

    def call() -> None:
        if (found := reference()) is not None:
            found()

    return call


class GroupRegistry(Protocol):
    """The part of the registry that a group uses."""

    dependencies: Dependencies
    awake: "dict[int, ProgramGroup]"

    def find(self, name: str) -> "ProgramGroup | None": ...

    def count_change(self) -> int: ...

    def replace(self, group: "ProgramGroup", config: ProgramGroupConfig, restart: Iterable[str]) -> None: ...

    def drop(self, name: str) -> None: ...


class ProgramGroup(ProcessGroup):
    """A program: its processes, its pending starts and its pending change."""

    config: ProgramGroupConfig
    context: Context

    def __init__(self, config: ProgramGroupConfig, registry: GroupRegistry) -> None:
        # Without the base class' constructor, which lets each configuration create its process.
        self.config = config
        self.context = config.context
        self.registry = registry
        self.processes = {each.name: ProgramProcess(each, self) for each in config.process_configs}
        self.due_at = 0.0  # when it is to be looked at again, on the monotonic clock; 0 while it is awake
        self.changed = 0  # the number of the change that it fell asleep after
        self._alarm_at = math.inf  # when the loop is woken for that
        self._forks_left = 0  # for commands, in this turn of the loop
        self._stops_after: list[ProgramGroup] = []  # on shutdown
        self._ends_because = ""
        self.waiting_for: list[Unmet] = []  # before its processes start
        self.to_start: list[str] = []
        self.next_config: ProgramGroupConfig | None = None
        self.withdrawn = False
        self.restarting: list[str] = []  # the processes to start after the change
        self.cut_short: str | None = None  # why a temporary program was stopped, if that was not requested
        self.changed_by = ""  # who requested the pending change
        self.end_announced = False
        self.expires_at: float | None = None  # on the monotonic clock
        if config.spec["expires_at"] is not None:
            self.expires_at = time.monotonic() + config.spec["expires_at"] - time.time()
        self.wake()

    @property
    def changing(self) -> bool:
        """Whether it is being replaced or withdrawn."""
        return self.withdrawn or self.next_config is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run by itself."""
        return not self.to_start and all(process.is_over for process in self.processes.values())

    def start(self, names: Iterable[str], by: str) -> None:
        """Start the processes that don't run, a few at each turn of the loop."""
        self.wake()
        if self.changing:
            # The processes of the new configuration are started, after the change.
            self.restarting = sorted({*self.restarting, *names})
            self.changed_by = by
            return
        names = [name for name in names if self.processes[name].can_start]
        for name in names:
            self.processes[name].counts.reset()
        self.queue(names, by)
        self._start_some()

    def queue(self, names: Iterable[str], by: str) -> None:
        """Note processes to be started in the next turns of the loop."""
        for name in names:
            self.processes[name].start_by = by
            self.to_start.append(name)

    def stop(self, names: Iterable[str], by: str) -> None:
        """Stop processes, and cancel their pending starts."""
        self.wake()
        names = set(names)
        self.to_start = [name for name in self.to_start if name not in names]
        self.restarting = [name for name in self.restarting if name not in names]
        for name in names:
            self.processes[name].stop(by)

    def end_early(self, why: str) -> None:
        """Stop all processes without a request. The reason is kept only if any was to go on."""
        if self.to_start or any(process.wanted for process in self.processes.values()):
            self.cut_short = why
        self.stop(list(self.processes), why)

    def restart_for_memory(self, process: ProgramProcess) -> None:
        """Restart a process that uses more memory than it may; a temporary program is ended instead."""
        if self.config.spec["temporary"]:
            self.end_early(MEMORY)
        else:
            process.restart_because(MEMORY)

    def end_after(self, others: "list[ProgramGroup]", why: str) -> None:
        """Stop all processes without a request, once nothing of the others runs."""
        self.wake()
        self._stops_after = others
        self._ends_because = why
        self._end_if_others_have()

    def _end_if_others_have(self) -> None:
        if not any(other.get_unstopped_processes() for other in self._stops_after):
            self._stops_after = []
            self.end_early(self._ends_because)

    def restart(self, names: Iterable[str], by: str) -> None:
        """Stop and start processes in one step: each is started once its old tree has ended."""
        names = list(names)
        self.stop(names, by)
        self.start(names, by)

    def signal(self, names: Iterable[str], signum: Signals, *, whole_tree: bool) -> None:
        """Signal processes, or their trees."""
        for name in names:
            if whole_tree:
                self.processes[name].send_to_tree(signum)
            else:
                self.processes[name].send(signum)

    def may_fork(self) -> bool:
        """Return whether another command may be run in this turn of the loop."""
        self._forks_left -= 1
        if self._forks_left < 0:
            self.context.wakeup.poke()
        return self._forks_left >= 0

    def replace(self, config: ProgramGroupConfig, by: str) -> None:
        """Change the configuration. What runs is restarted only if it is affected."""
        self.wake()
        if not self.changing and self.config.runs_the_same(config):
            self._set_config(config)
            return
        running = [name for name, process in self.processes.items() if process.wanted]
        self.restarting = sorted({*self.restarting, *self.to_start, *running})
        self.next_config = config
        self.withdrawn = False
        self._clear(by)

    def withdraw(self, by: str) -> None:
        """Stop all processes, then remove the group from supervisord."""
        self.wake()
        self.withdrawn = True
        self.next_config = None
        self.restarting = []
        self._clear(by)

    def stop_all(self) -> None:
        """Stop all processes, and cancel pending starts. Called by supervisord on shutdown."""
        if self._stops_after:
            return
        self.to_start = []
        super().stop_all()

    def get_unstopped_processes(self) -> list[ProgramProcess]:
        """Return the processes that have not ended, or whose trees have not."""
        return [
            process
            for process in self.processes.values()
            if process.ending or process.state not in STOPPED_STATES
        ]

    def look_at_dependencies(self) -> list[Unmet]:
        """Return what its processes wait for before they start; the group is woken when that changes."""
        self.waiting_for = self.registry.dependencies.unmet(self)
        return self.waiting_for

    def announce(self) -> None:
        """Have the programs look again that wait for this one."""
        self.registry.dependencies.announce(self)

    def wake(self) -> None:
        """Have the next turns of the loop process the group, until it is settled again."""
        self.due_at = 0.0
        self.registry.awake[id(self)] = self

    def has_changed_since(self, number: int) -> bool:
        """Return whether its state may be another than after a change of that number.

        In a pause the next start is reported by the system's clock, which may be set.
        """
        is_awake = self.due_at == 0.0
        return is_awake or self.changed > number or any(each.is_in_pause for each in self.processes.values())

    def transition(self) -> None:
        """Do what is due for the processes, then for the group. Called in each turn while it is awake."""
        if self.registry.find(self.config.name) is not self:
            return  # replaced in this very turn
        with self.context.contained(f"{self.config.name} could not be looked after"):
            self._transition()
            self._sleep()

    def _sleep(self) -> None:
        """Leave the group out of the loop's turns until something is due, a call comes, or a process ends."""
        if self.to_start or self.changing or self._stops_after or self._has_end_to_announce:
            self.wake()
            return
        self.due_at = min(process.due_at for process in self.processes.values())
        if self.expires_at is not None:
            self.due_at = min(self.due_at, self.expires_at)
        now = time.monotonic()
        if self.due_at <= now:
            self.wake()
            return
        self.changed = self.registry.count_change()
        if self.due_at < math.inf and (self.due_at < self._alarm_at or self._alarm_at <= now):
            self._alarm_at = self.due_at
            self.context.wakeup.at(self._alarm_at, _weak(self.wake))

    def _transition(self) -> None:
        self._forks_left = _STARTS_PER_TURN
        if self._stops_after:
            self._end_if_others_have()
        if self.waiting_for:
            self.look_at_dependencies()
        super().transition()
        if self.config.spec["temporary"]:
            self._transition_temporary()
        if self.changing and not self.get_unstopped_processes():
            self._carry_out_change()
        elif self.to_start:
            self._start_some()

    def _transition_temporary(self) -> None:
        """End the program when its time to live is over, and announce its end once."""
        if self.expires_at is not None and time.monotonic() >= self.expires_at:
            self.expires_at = None
            self.end_early(EXPIRED)
        if self._has_end_to_announce:
            self.end_announced = True
            self.context.announce_end(self.config.name, self.snapshot())

    @property
    def _has_end_to_announce(self) -> bool:
        return self.config.spec["temporary"] and self.is_over and not self.end_announced

    def _clear(self, by: str) -> None:
        """Stop all processes and cancel pending starts, to carry out the change that was noted."""
        self.changed_by = by
        self.to_start = []
        for process in self.processes.values():
            process.stop(by)
        if not self.get_unstopped_processes():
            self._carry_out_change()

    def _set_config(self, config: ProgramGroupConfig) -> None:
        """Replace the configuration, and leave the processes as they are."""
        for process_config in config.process_configs:
            process = self.processes[process_config.name]
            process.reconfigure(process_config)
            process.watch_memory()
        former, self.config = self.config.spec["name"], config
        if former != config.spec["name"]:
            self.registry.dependencies.remove(self, former)
            self.registry.dependencies.add(self)
        self.announce()  # what is ready or completed may be another now

    def _carry_out_change(self) -> None:
        """Remove the group from supervisord, or replace it by one with the new configuration."""
        if self.next_config is None:
            self.registry.drop(self.config.name)
        else:
            self.registry.replace(self, self.next_config, self.restarting)

    def _start_some(self) -> None:
        if self.config.options.mood <= SupervisorStates.RESTARTING:
            self.to_start = []
            return
        batch, self.to_start = self.to_start[:_STARTS_PER_TURN], self.to_start[_STARTS_PER_TURN:]
        for name in batch:
            process = self.processes[name]
            if process.can_start:
                process.spawn()
        if self.to_start:
            self.context.wakeup.poke()

    def snapshot(self, *, with_orphans: bool = True) -> ProgramState:
        """Return the program's state as it is reported.

        Processes that are stopped and have never run are left out.
        """
        queued = {*self.to_start, *self.restarting}
        processes: dict[str, ProcessState] = {}
        for name, process in self.processes.items():
            if process.start_requested or name in queued:
                processes[name] = {**process.snapshot(with_orphans=with_orphans), "queued": True}
            elif process.state != ProcessStates.STOPPED or process.last_run:
                processes[name] = process.snapshot(with_orphans=with_orphans)
        shown: ProgramState = {
            "changing": self.changing,
            "digest": self.config.digest,
            "processes": processes,
        }
        if self.config.spec["temporary"]:
            shown["over"] = self.is_over
            shown["cut_short"] = self.cut_short
        return shown
