"""React to supervisord's events: announce state changes, and end processes that are left over."""

import signal
import time

from supervisor import events
from supervisor.states import getProcessStateDescription

from daemon_programs.supervisor.events import POKE
from daemon_programs.supervisor.plugin.programs.dependencies import dependents
from daemon_programs.supervisor.plugin.programs.group import SHUTDOWN
from daemon_programs.supervisor.plugin.programs.process import ProgramProcess
from daemon_programs.supervisor.plugin.programs.registry import Registry
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.tree import descend, lineage, send

_MOST_REAPED_PER_TURN = 500


class Hooks:
    """Subscribers of supervisord's events. To be subscribed again after each reload of supervisord."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.context = registry.context

    def subscribe(self) -> None:
        """Subscribe to the events, and let the journal wake the event listener."""
        events.subscribe(events.ProcessStateEvent, self.announce_change)
        for end in (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent):
            events.subscribe(end, self.kill_orphans_of_part)
        events.subscribe(events.SupervisorStoppingEvent, self.stop_programs)
        self.context.journal.poke = self.poke_listener
        self.context.notices.deliver = self.deliver_notice

    def announce_change(self, event: events.ProcessStateEvent) -> None:
        """Announce the state change of a program's process."""
        process = event.process
        if not isinstance(process, ProgramProcess):
            return
        self.context.announce_change(
            {
                "group": process.group.config.name,
                "process": process.config.name,
                "name": process.group.config.spec["name"],
                "from": getProcessStateDescription(event.from_state).lower(),
                "at": time.time(),
                "by": process.by,
                **process.snapshot(with_orphans=False),
            }
        )

    def poke_listener(self) -> None:
        """Wake the event listener with the event that it is subscribed to."""
        events.notify(events.RemoteCommunicationEvent(POKE, ""))
        self.context.wakeup.poke()  # the loop may have passed the listener in this turn

    def deliver_notice(self, pid: int, notice: dict[str, str]) -> None:
        """Hand a notice to the process of a program that its sender belongs to, if any."""
        process = self._process_of(pid)
        if process is not None and process.observation is not None:
            process.observation.take_notice(notice)

    def _process_of(self, pid: int) -> ProgramProcess | None:
        owner = self.context.orphans.owner_of(pid)
        if owner is not None:
            group = self.registry.find(owner.group)
            return group.processes.get(owner.process) if group else None
        for ancestor in lineage(pid):  # where processes can't be marked
            process = self.context.options.pidhistory.get(ancestor)
            if isinstance(process, ProgramProcess):
                return process
        return None

    def kill_orphans_of_part(self, event: events.ProcessStateEvent) -> None:
        """Kill the orphans of a process of the stack that has ended, before it is started again."""
        process = event.process
        if isinstance(process, ProgramProcess):
            return
        owner = Owner(process.group.config.name, process.config.name)
        for identity in descend(self.context.orphans.of(owner, at_most_every=0.0)):
            send(identity, signal.SIGKILL)

    def reap(self, once: bool = False, recursionguard: int = 0) -> None:
        """Reap children that have ended, at most so many in one turn. Called by supervisord.

        Stock supervisord writes a line for each that it does not know: programs could fill its log with
        their orphans.
        """
        options = self.context.options
        for _ in range(1 if once else _MOST_REAPED_PER_TURN):
            pid, status = options.waitpid()
            if not pid:
                return
            process = options.pidhistory.pop(pid, None)
            if process is None:
                self.context.orphans.reap(pid)
            else:
                process.finish(pid, status)
        self.context.wakeup.poke()

    def stop_programs(self, event: events.SupervisorStoppingEvent) -> None:
        """Stop programs at the same time on shutdown, but each after those that depend on it.

        supervisord would stop one after the other.
        """
        groups = self.registry.groups()
        first = dependents(groups)
        for group in groups:
            group.end_after(first.get(group.config.name, []), SHUTDOWN)
