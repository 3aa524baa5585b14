"""supervisord's main loop, in which a turn costs what there is to do, however many programs there are.

Stock supervisord goes through all programs and all their pipes in each turn, and a call takes several turns.
Here a turn goes through the programs that are awake. The pipes of one that sleeps are polled as they were
when it was last looked at. While nothing is due, the loop itself sleeps for longer than stock supervisord's,
which looks at all processes once a second.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from weakref import WeakValueDictionary

from supervisor import events
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.states import ProcessStates, SupervisorStates

from daemon_programs.supervisor.plugin.programs.group import ProgramGroup
from daemon_programs.supervisor.plugin.programs.registry import Registry

POLL_SECONDS = 1  # as in stock supervisord
IDLE_SECONDS = 20
# In other states, stock supervisord waits for a time to come.
_SETTLED = (ProcessStates.STOPPED, ProcessStates.RUNNING, ProcessStates.EXITED, ProcessStates.FATAL)


class Loop:
    """The turns of supervisord's loop. What they do with a group or a dispatcher is what stock ones do."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.supervisord = registry.supervisord
        self._sockets: dict[int, Any] = self.supervisord.options.get_socket_map()
        self._pipes: WeakValueDictionary[int, Any] = WeakValueDictionary()  # of the programs that run
        self._is_quiet = False  # whether the last poll has found nothing
        self._looked_at: list[Any] = []  # the programs of the last turn, whose pipes may be others since
        self._parts = {  # the groups that are no programs
            name: group
            for name, group in self.supervisord.process_groups.items()
            if not isinstance(group, ProgramGroup)
        }

    def install(self) -> None:
        """Replace supervisord's own loop."""
        self.supervisord.runforever = self.run
        events.subscribe(events.ProcessGroupAddedEvent, self._add_part)
        events.subscribe(events.ProcessGroupRemovedEvent, lambda event: self._parts.pop(event.group, None))

    def _add_part(self, event: Any) -> None:
        group = self.supervisord.process_groups[event.group]
        if not isinstance(group, ProgramGroup):
            self._parts[event.group] = group

    def run(self) -> None:
        """Run until supervisord ends or reloads, which raises ExitNow."""
        events.notify(events.SupervisorRunningEvent())
        while True:
            self._turn()

    def _turn(self) -> None:
        supervisord = self.supervisord
        if self._is_stopping:
            self._stop_next()
        self._poll()
        self._looked_at = self.registry.groups() if self._is_stopping else self.registry.awake_groups()
        for group in sorted([*self._parts.values(), *self._looked_at]):
            group.transition()
        supervisord.reap()
        supervisord.handle_signal()
        supervisord.tick()
        if self._is_stopping:
            supervisord.ordered_stop_groups_phase_2()

    @property
    def _is_stopping(self) -> bool:
        return bool(self.supervisord.options.mood < SupervisorStates.RUNNING)

    def _stop_next(self) -> None:
        """Stop a group, or raise ExitNow if nothing runs any more."""
        supervisord = self.supervisord
        if not supervisord.stopping:
            supervisord.stopping = True
            supervisord.stop_groups = sorted(supervisord.process_groups.values())
            events.notify(events.SupervisorStoppingEvent())
        supervisord.ordered_stop_groups_phase_1()
        if not supervisord.shutdown_report():
            raise asyncore.ExitNow

    def _poll(self) -> None:
        """Wait for something to read or write, and handle it."""
        poller = self.supervisord.options.poller
        dispatchers = self._dispatchers()
        for descriptor, dispatcher in dispatchers.items():
            if dispatcher.readable():
                poller.register_readable(descriptor)
            if dispatcher.writable():
                poller.register_writable(descriptor)
        readable, writable = poller.poll(IDLE_SECONDS if self._is_quiet and self._is_idle else POLL_SECONDS)
        self._is_quiet = not (readable or writable)
        for descriptor in readable:
            dispatcher = dispatchers.get(descriptor) or self._pipes.get(descriptor)
            with _contained(dispatcher):
                if dispatcher is not None:
                    dispatcher.handle_read_event()
                if dispatcher is None or not dispatcher.readable():
                    poller.unregister_readable(descriptor)
        for descriptor in writable:
            dispatcher = dispatchers.get(descriptor) or self._pipes.get(descriptor)
            with _contained(dispatcher):
                if dispatcher is not None:
                    dispatcher.handle_write_event()
                if dispatcher is None or not dispatcher.writable():
                    poller.unregister_writable(descriptor)

    @property
    def _is_idle(self) -> bool:
        """Whether nothing is to be looked at until a signal, a request, output or a deadline comes."""
        return (
            self.supervisord.options.mood == SupervisorStates.RUNNING
            and not self.registry.awake_groups()
            and all(map(_is_settled, self._parts.values()))
            and not self.supervisord.options.signal_receiver._signals_recvd  # one is handled in each turn
            and not any(getattr(each, "delay", 0) for each in self._sockets.values())  # a deferred answer
        )

    def _dispatchers(self) -> dict[int, Any]:
        """Return the dispatchers that may be others than before, or want something else, by descriptor."""
        found: dict[int, Any] = {}
        for group in self._looked_at:
            found.update(group.get_dispatchers())
        self._pipes.update(found)
        for group in self._parts.values():
            found.update(group.get_dispatchers())
        return {**found, **self._sockets}


def _is_settled(part: Any) -> bool:
    """Return whether a part of the stack neither starts nor ends, nor has events to take."""
    is_settled = all(process.state in _SETTLED for process in part.processes.values())
    return is_settled and not getattr(part, "event_buffer", ())


@contextlib.contextmanager
def _contained(dispatcher: Any) -> Iterator[None]:
    """Let a dispatcher handle its fault."""
    try:
        yield
    except asyncore.ExitNow:
        raise
    except Exception:
        if dispatcher is not None:
            dispatcher.handle_error()
