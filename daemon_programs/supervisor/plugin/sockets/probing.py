"""Tell the prober what to probe, and hear what it has found, over a unix stream socket.

Each line is one JSON object. To the prober: ``watch`` a run, ``output`` of a run, a ``beat`` of a run's
watchdog, the ``end`` of a run. From it: what was found about a ``run``. A prober that connects is told
everything that is to be watched. One that reads too slowly must not delay supervisord: it is disconnected,
and connects again.
"""

import json
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from daemon_programs.supervisor.plugin.sockets.broadcast import Dispatcher, private_listener

_MOST_BYTES_BEHIND = 4 * 1024 * 1024
_BYTES_AT_ONCE = 64 * 1024
_MOST_SENDS_PER_TURN = 16


class Watched(Protocol):
    """A run that is to be watched."""

    def orders(self) -> dict[str, Any]:
        """Return what the prober needs to know."""

    def hear(self, finding: dict[str, Any]) -> None:
        """Take what the prober has found."""


class _Link(Dispatcher):
    """The connection to the prober."""

    def __init__(
        self, sock: socket.socket, socket_map: dict[int, Any], hear: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__(sock, socket_map)
        self._hear = hear
        self._received = bytearray()
        self._sending = bytearray()
        # Lines, or what makes them once their turn comes: environments may be large.
        self._queue: deque[Callable[[], bytes]] = deque()
        self._queued_bytes = 0
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()

    def send(self, line: Callable[[], bytes], size: int = 0) -> None:
        """Send a line as soon as the prober can take it; ``size`` is what it keeps in memory until then."""
        self._queued_bytes += size
        if self._queued_bytes > _MOST_BYTES_BEHIND:
            self.close()
            return
        self._queue.append(line)

    def writable(self) -> bool:
        return bool(self._sending or self._queue)

    def handle_write_event(self) -> None:
        try:
            for _ in range(_MOST_SENDS_PER_TURN):
                while self._queue and len(self._sending) < _BYTES_AT_ONCE:
                    self._sending += self._queue.popleft()()
                if not self._queue:
                    self._queued_bytes = 0
                if not self._sending:
                    return
                del self._sending[: self.sock.send(self._sending)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def handle_read_event(self) -> None:
        try:
            data = self.sock.recv(_BYTES_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        *lines, rest = (self._received + data).split(b"\n")
        self._received = bytearray(rest)
        for line in lines:
            self._hear(json.loads(line))


class Probing(Dispatcher):
    """The runs that are watched, and the socket to which the prober connects."""

    def __init__(self, path: str, socket_map: dict[int, Any]) -> None:
        super().__init__(private_listener(path, backlog=4), socket_map)
        self._runs: dict[int, Watched] = {}
        self._known: set[int] = set()  # those that the prober has been told of
        self._last = 0
        self._link: _Link | None = None

    def watch(self, run: Watched) -> int:
        """Have the prober watch a run; return its number."""
        self._last += 1
        self._runs[self._last] = run
        self._send_orders(self._last)
        return self._last

    def end(self, number: int) -> None:
        """Have the prober leave a run alone."""
        if self._runs.pop(number, None) is not None:
            self._known.discard(number)
            self._send({"end": number})

    def send_output(self, number: int, channel: str, data: bytes) -> None:
        """Send what a run has printed on standard output or standard error.

        Orders that have not been sent yet will contain it.
        """
        if number in self._known:
            self._send({"output": number, "channel": channel, "text": data.decode("latin-1")})

    def send_beat(self, number: int) -> None:
        """Send that a run has told that it is healthy."""
        self._send({"beat": number})

    def _send(self, message: dict[str, Any]) -> None:
        if self._link is not None and not self._link.is_closed:
            line = _line(message)
            self._link.send(lambda: line, len(line))

    def _send_orders(self, number: int) -> None:
        if self._link is not None and not self._link.is_closed:
            self._link.send(lambda: self._orders(number))

    def _orders(self, number: int) -> bytes:
        run = self._runs.get(number)
        if run is None:
            return b""
        self._known.add(number)
        return _line({"watch": number, **run.orders()})

    def _hear(self, finding: dict[str, Any]) -> None:
        run = self._runs.get(finding["run"])
        if run is not None:  # it may have ended meanwhile
            run.hear(finding)

    def handle_read_event(self) -> None:
        try:
            sock, _ = self.sock.accept()
        except OSError:
            return
        if self._link is not None and not self._link.is_closed:
            self._link.close()  # of a prober that has ended
        self._known.clear()
        self._link = _Link(sock, self.socket_map, self._hear)
        for number in self._runs:
            self._send_orders(number)

    def handle_error(self) -> None:
        """Keep listening: a fault of one connection must not close the socket."""

    def detach(self) -> None:
        if self._link is not None and not self._link.is_closed:
            self._link.detach()
        super().detach()


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
