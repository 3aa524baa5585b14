"""Decide when enough of a request has arrived for a thread to serve it.

A thread that reads waits for its client. Therefore a request is collected without a thread until it is
complete; only long ones are read by a thread, for a limited time.
"""

import time
from enum import Enum, auto
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

REQUEST_SECONDS = 30.0  # a request must have arrived completely within this time
_MAX_COLLECTED_BYTES = 64 * 1024  # per connection; nearly all requests are smaller
_END_OF_HEAD = b"\r\n\r\n"


class Arrival(Enum):
    """How much of a request has arrived."""

    INCOMPLETE = auto()
    LONG = auto()  # a thread has to read the rest
    COMPLETE = auto()


class Connection(TConn):
    """A connection, with what has arrived on it and was not parsed yet."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.received = bytearray()
        self._needed = 0  # bytes of the request; 0 while its head is incomplete
        self.data_ready = True  # gunicorn would have a thread wait for the first byte
        self.is_long = False  # a thread reads the rest of the request

    def collect(self, data: bytes) -> Arrival:
        """Add what has arrived, and return whether that is a request. The cost is that of the new bytes."""
        searched = max(len(self.received) - len(_END_OF_HEAD), 0)
        self.received += data
        if not self._needed:
            end = self.received.find(_END_OF_HEAD, searched)
            if end >= 0:
                head_bytes = end + len(_END_OF_HEAD)
                length = _body_length(bytes(self.received[:end]))
                if length is None:
                    return Arrival.LONG
                self._needed = head_bytes + length
        if self._needed and len(self.received) >= self._needed:
            return Arrival.COMPLETE
        return Arrival.LONG if len(self.received) > _MAX_COLLECTED_BYTES else Arrival.INCOMPLETE

    def init(self) -> None:
        """Give the parser what has arrived. A thread calls this before it serves a request."""
        super().init()
        if not isinstance(self.parser.unreader, _TimedUnreader):
            self.parser.unreader = _TimedUnreader(self.sock)
        self.parser.unreader.deadline = time.monotonic() + REQUEST_SECONDS
        self.parser.unreader.unread(bytes(self.received))
        self.received.clear()
        self._needed = 0

    def leftover(self) -> bytes:
        """Return what was read beyond the last request: the beginning of the next."""
        return self.parser.unreader.take_buffered() if self.parser else b""


class _TimedUnreader(SocketUnreader):
    """Read from a socket until a deadline, then raise TimeoutError."""

    deadline = 0.0

    def chunk(self, size_hint: int | None = None) -> bytes:
        self.sock.settimeout(max(self.deadline - time.monotonic(), 0.001))
        try:
            return bytes(super().chunk(size_hint))
        finally:
            self.sock.settimeout(None)


def _body_length(head: bytes) -> int | None:
    """Return the length of the body, None if a thread has to find its end.

    Return 0 if the length is malformed: the parser refuses it at once.
    """
    headers = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    values = {name.strip().lower(): value.strip() for name, _, value in headers}
    if b"transfer-encoding" in values or b"expect" in values:
        return None  # the end is not known yet, or the client waits for a 100 before it sends more
    length = values.get(b"content-length", b"0")
    return int(length) if length.isdigit() and len(length) <= 18 else 0
