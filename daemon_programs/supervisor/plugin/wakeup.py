"""Wake supervisord's main loop as soon as there is something to do.

Stock supervisord checks its children once a second: neither a child's end nor a deadline interrupts its
poll (PEP 475 restarts the call). Here, each signal writes to a socket pair in the loop
(``signal.set_wakeup_fd``), and an interval timer sends a signal at each deadline.
"""

import atexit
import contextlib
import heapq
import itertools
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

# The timer may fire slightly before the clock that the deadlines are compared with.
_SLACK = 0.001


class Wakeup:
    """A dispatcher (as in asyncore) that only ends the loop's poll."""

    def __init__(self, socket_map: dict[int, Any]) -> None:
        self._map = socket_map
        self._deadlines: list[tuple[float, int, Callable[[], None] | None]] = []
        self._numbers = itertools.count()  # so that equal deadlines keep their order
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._map[self._receiver.fileno()] = self
        signal.signal(signal.SIGALRM, lambda signum, frame: None)
        # Python removes its signal handlers before it exits; a later alarm would kill the process.
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)

    def poke(self) -> None:
        """Have the loop run its next turn without waiting."""
        with contextlib.suppress(BlockingIOError):  # full: the loop is awake already
            self._sender.send(b"\0")

    def at(self, deadline: float, call: Callable[[], None] | None = None) -> None:
        """Have the loop run a turn at a time of the monotonic clock, and call a function in it."""
        heapq.heappush(self._deadlines, (deadline, next(self._numbers), call))
        if self._deadlines[0][0] == deadline:
            self._arm()

    def _arm(self) -> None:
        wait = max(self._deadlines[0][0] - time.monotonic(), 0) + _SLACK if self._deadlines else 0
        signal.setitimer(signal.ITIMER_REAL, wait)

    def detach(self) -> None:
        """Leave the loop of a supervisord that reloads (SIGHUP).

        It has closed all descriptors, so their numbers may be in use for other files. They are not closed
        here.
        """
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.set_wakeup_fd(-1)
        if self._map.get(self._receiver.fileno()) is self:
            del self._map[self._receiver.fileno()]
        self._receiver.detach()
        self._sender.detach()

    # The methods that supervisord's main loop calls

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
        calls = []
        while self._deadlines and self._deadlines[0][0] <= now:
            calls.append(heapq.heappop(self._deadlines)[2])
        self._arm()
        for call in calls:
            if call is not None:
                call()

    def handle_error(self) -> None:
        """Keep the socket pair open after a fault; the next turn reads it again."""
