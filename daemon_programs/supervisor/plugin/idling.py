"""Let supervisord's loop sleep while nothing is due.

Stock supervisord looks at all processes once a second, which with a thousand of them is a large part of what
an idle stack costs. Here a turn that nothing has caused is followed by a longer sleep, unless something is
due before. Signals, requests, output and deadlines end it (`wakeup`).
"""

import time
from typing import Any

from supervisor.process import ProcessGroup
from supervisor.states import ProcessStates, SupervisorStates

from daemon_programs.supervisor.plugin.programs.group import ProgramGroup

IDLE_SECONDS = 20.0
# In other states, stock supervisord waits for a time to come.
_SETTLED = (
    ProcessStates.STOPPED,
    ProcessStates.RUNNING,
    ProcessStates.EXITED,
    ProcessStates.FATAL,
)


class Idling:
    """The poll of supervisord's loop."""

    def __init__(self, supervisord: Any) -> None:
        self._supervisord = supervisord
        self._options = supervisord.options
        self._poll = self._options.poller.poll
        self._is_quiet = False  # whether the last poll has found nothing

    def install(self) -> None:
        """Take the place of supervisord's own poll."""
        self._options.poller.poll = self.poll

    def poll(self, seconds: float) -> Any:
        """Wait until a descriptor is ready, for so long at most, or for longer if nothing is due."""
        if self._is_quiet:
            seconds = max(seconds, self.rest())
        ready = self._poll(seconds)
        self._is_quiet = not any(ready)
        return ready

    def rest(self) -> float:
        """Return for how many seconds nothing is due."""
        channels = self._options.get_socket_map().values()
        is_running = self._options.mood == SupervisorStates.RUNNING
        if not is_running or any(
            getattr(each, "delay", 0) for each in channels
        ):  # an answer that is waited for
            return 0.0
        now = time.monotonic()
        due_at = now + IDLE_SECONDS
        for group in self._supervisord.process_groups.values():
            due_at = min(
                due_at, group.due_at if isinstance(group, ProgramGroup) else _due_at(group, now, due_at)
            )
        return due_at - now


def _due_at(group: ProcessGroup, now: float, otherwise: float) -> float:
    """Return now if a part of the stack must be looked at: while it starts or ends, or has events to take."""
    is_settled = all(process.state in _SETTLED for process in group.processes.values())
    return otherwise if is_settled and not getattr(group, "event_buffer", ()) else now
