"""Broadcast state changes on a unix stream socket, as one JSON object per line.

The API process holds one connection, and wakes its waiting requests and streams with it. A listener that
reads too slowly must not delay supervisord: it is disconnected. It is expected to connect again and to
call ``state`` or ``states``.
"""

import os
import socket
from typing import Any

_MOST_BYTES_BEHIND = 4 * 1024 * 1024


class Dispatcher:
    """Base class of a socket in supervisord's main loop, with the methods that the loop calls."""

    def __init__(self, sock: socket.socket, socket_map: dict[int, Any]) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.socket_map = socket_map
        self.fileno = sock.fileno()
        socket_map[self.fileno] = self

    def close(self) -> None:
        self.socket_map.pop(self.fileno, None)
        self.sock.close()

    def detach(self) -> None:
        """Leave the loop of a supervisord that reloads: see `Wakeup.detach`."""
        if self.socket_map.get(self.fileno) is self:
            del self.socket_map[self.fileno]
        self.sock.detach()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def handle_read_event(self) -> None:
        raise NotImplementedError

    def handle_write_event(self) -> None:
        raise NotImplementedError

    def handle_error(self) -> None:
        self.close()


class _Listener(Dispatcher):
    """One connected listener, with the lines that it has not read yet."""

    def __init__(self, sock: socket.socket, socket_map: dict[int, Any], peers: set["_Listener"]) -> None:
        super().__init__(sock, socket_map)
        self.buffer = bytearray()
        self.peers = peers
        self.peers.add(self)

    def close(self) -> None:
        self.peers.discard(self)
        super().close()

    def write(self, line: bytes) -> None:
        """Send a line as soon as the listener can take it; disconnect a listener that is too far behind."""
        if len(self.buffer) + len(line) > _MOST_BYTES_BEHIND:
            self.close()
            return
        self.buffer += line
        self.handle_write_event()

    def writable(self) -> bool:
        return bool(self.buffer)

    def handle_write_event(self) -> None:
        try:
            while self.buffer:
                del self.buffer[: self.sock.send(self.buffer)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def handle_read_event(self) -> None:
        """Notice a closed connection. Listeners send nothing."""
        try:
            if not self.sock.recv(4096):
                self.close()
        except BlockingIOError:
            pass
        except OSError:
            self.close()


def private_listener(path: str, *, backlog: int) -> socket.socket:
    """Return a unix socket that listens at a path, for the user of the stack only.

    A killed supervisord may have left a file there, which is replaced.
    """
    if os.path.exists(path):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    os.chmod(path, 0o600)
    sock.listen(backlog)
    return sock


class Broadcast(Dispatcher):
    """The listening socket, which sends lines to all connected listeners."""

    def __init__(self, path: str, socket_map: dict[int, Any]) -> None:
        super().__init__(private_listener(path, backlog=64), socket_map)
        self.listeners: set[_Listener] = set()

    def send(self, line: bytes) -> None:
        """Send a line to all listeners, without waiting for any of them."""
        for listener in list(self.listeners):
            listener.write(line)

    def handle_read_event(self) -> None:
        try:
            sock, _ = self.sock.accept()
        except OSError:
            return
        _Listener(sock, self.socket_map, self.listeners)

    def handle_error(self) -> None:
        """Keep listening: a fault of one connection must not close the socket."""

    def detach(self) -> None:
        for listener in self.listeners:
            listener.detach()
        super().detach()
