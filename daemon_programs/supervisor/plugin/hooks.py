"""What follows from supervisord's own events: announcements, and the end of what its parts leave."""

import signal
import time

from supervisor import events
from supervisor.states import getProcessStateDescription

from daemon_programs.supervisor.events import POKE
from daemon_programs.supervisor.plugin.group import SHUTDOWN
from daemon_programs.supervisor.plugin.process import ProgramProcess
from daemon_programs.supervisor.plugin.registry import Registry
from daemon_programs.supervisor.processes.tree import descend, send


class Hooks:
    """Subscribers of supervisord's events, which it forgets when it sets itself up again."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.context = registry.context

    def subscribe(self) -> None:
        """Subscribe to the events, and have the journal wake the event listener."""
        events.subscribe(events.ProcessStateEvent, self.announce_change)
        for end in (events.ProcessStateExitedEvent, events.ProcessStateBackoffEvent):
            events.subscribe(end, self.end_what_a_part_leaves)
        events.subscribe(events.SupervisorStoppingEvent, self.stop_everything)
        self.context.journal.poke = self.poke_listener

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
                **process.snapshot(),
            }
        )

    def poke_listener(self) -> None:
        """Send the event listener the one event that it knows."""
        events.notify(events.RemoteCommunicationEvent(POKE, ""))
        self.context.wakeup.poke()  # its turn in the loop may be over already

    def end_what_a_part_leaves(self, event: events.ProcessStateEvent) -> None:
        """End the children of a part of the stack that has ended: they would work on beside the next."""
        process = event.process
        if isinstance(process, ProgramProcess):
            return
        orphans = self.context.orphans.of(process.group.config.name, process.config.name, time.monotonic())
        for identity in descend(orphans):
            send(identity, signal.SIGKILL)

    def stop_everything(self, event: events.SupervisorStoppingEvent) -> None:
        """At supervisord's end stop all programs side by side, not one after the other."""
        for group in self.registry.groups():
            group.end_early(SHUTDOWN)
