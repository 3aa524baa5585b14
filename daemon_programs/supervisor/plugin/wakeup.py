"""Wake supervisord's main loop when there is something to do.

Stock supervisord looks at its children once a second: neither a child's end nor a deadline wakes its
poll (PEP 475 restarts the interrupted call). A socket pair in the loop's map mends both: signals
write to it (``signal.set_wakeup_fd``), and one interval timer turns deadlines into signals.
"""

import atexit
import contextlib
import heapq
import signal
import socket
import time
from typing import Any

# The timer may fire a hair before the clock that the deadlines are compared with.
_SLACK = 0.001


class Wakeup:
    """A dispatcher, in asyncore's sense, that does nothing but end the poll."""

    def __init__(self, socket_map: dict[int, Any]) -> None:
        self._map = socket_map
        self._deadlines: list[float] = []
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._map[self._receiver.fileno()] = self
        signal.signal(signal.SIGALRM, lambda signum, frame: None)
        # Python takes its handlers away before it has ended; an alarm would kill it then.
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)

    def poke(self) -> None:
        """Make the loop turn once more without waiting."""
        with contextlib.suppress(BlockingIOError):  # it is full of pokes already
            self._sender.send(b"\0")

    def at(self, deadline: float) -> None:
        """Make the loop turn at a time of the monotonic clock."""
        heapq.heappush(self._deadlines, deadline)
        if self._deadlines[0] == deadline:
            self._arm()

    def _arm(self) -> None:
        wait = max(self._deadlines[0] - time.monotonic(), 0) + _SLACK if self._deadlines else 0
        signal.setitimer(signal.ITIMER_REAL, wait)

    def leave(self) -> None:
        """Leave the loop of a supervisord that sets itself up anew (SIGHUP).

        It has closed the descriptors already: by now they may be somebody else's.
        """
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(-1)
        if self._map.get(self._receiver.fileno()) is self:
            del self._map[self._receiver.fileno()]
        self._receiver.detach()
        self._sender.detach()

    # What supervisord's main loop asks of a dispatcher

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        try:
            while len(self._receiver.recv(4096)) == 4096:
                pass
        except BlockingIOError:
            pass
        now = time.monotonic()
        while self._deadlines and self._deadlines[0] <= now:
            heapq.heappop(self._deadlines)
        self._arm()

    def handle_error(self) -> None:
        """Nothing here may close the way to be woken; the next turn tries again."""
