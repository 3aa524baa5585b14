"""Hear what programs tell by sd_notify: ``READY=1``, ``STATUS=…``, ``WATCHDOG=1``.

The socket has an abstract address, which programs of all users can reach, and which nobody else can take
while supervisord lives. The kernel says which process has sent a datagram. It is read at a limited rate, so
that a flood costs supervisord little.
"""

import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from daemon_programs.supervisor.plugin.sockets.broadcast import Dispatcher
from daemon_programs.supervisor.plugin.wakeup import Wakeup

_MOST_BYTES = 4096
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_MOST_PER_TURN = 50
_PAUSE_SECONDS = 0.02  # after so many

Notice = dict[str, str]


class Notices(Dispatcher):
    """The socket whose address programs find in ``NOTIFY_SOCKET``."""

    def __init__(self, socket_map: dict[int, Any], wakeup: Wakeup) -> None:
        name = f"daemon-notify-{secrets.token_hex(8)}"
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sock.bind(f"\0{name}")
        super().__init__(sock, socket_map)
        self.address = f"@{name}"
        self.deliver: Callable[[int, Notice], None] = lambda pid, notice: None
        self._wakeup = wakeup
        self._paused_until = 0.0

    def readable(self) -> bool:
        return time.monotonic() >= self._paused_until

    def handle_read_event(self) -> None:
        """Deliver what has come, with the pid of the sender."""
        for _ in range(_MOST_PER_TURN):
            try:
                data, ancillary, _, _ = self.sock.recvmsg(_MOST_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
            except OSError:
                return
            for level, kind, value in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                    pid, _, _ = _CREDENTIALS.unpack(value)
                    self.deliver(pid, _parse(data))
        self._paused_until = time.monotonic() + _PAUSE_SECONDS
        self._wakeup.at(self._paused_until)

    def handle_error(self) -> None:
        """Keep listening: a fault of one notice must not close the socket."""


def _parse(data: bytes) -> Notice:
    notice: Notice = {}
    with contextlib.suppress(UnicodeDecodeError):
        for line in data.decode().split("\n"):
            name, _, value = line.partition("=")
            notice[name] = value
    return notice
