"""State changes for whoever listens: one JSON object a line, on a unix stream socket.

The API process holds one connection and wakes its waiting requests from it. Nobody who reads slowly
may hold up supervisord: a listener that lags too far behind is cut off, connects again, and reads
the truth through a call.
"""

import os
import socket
from typing import Any

_MOST_BYTES_BEHIND = 4 * 1024 * 1024


class _Dispatcher:
    """A socket in supervisord's loop."""

    def __init__(self, sock: socket.socket, socket_map: dict[int, Any]) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.socket_map = socket_map
        self.fileno = sock.fileno()
        socket_map[self.fileno] = self

    def close(self) -> None:
        self.socket_map.pop(self.fileno, None)
        self.sock.close()

    def leave(self) -> None:
        """Like ``Wakeup.leave``."""
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


class _Listener(_Dispatcher):
    """One connected listener and what it has not read yet."""

    def __init__(self, sock: socket.socket, socket_map: dict[int, Any], peers: set["_Listener"]) -> None:
        super().__init__(sock, socket_map)
        self.buffer = bytearray()
        self.peers = peers
        self.peers.add(self)

    def close(self) -> None:
        self.peers.discard(self)
        super().close()

    def write(self, line: bytes) -> None:
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
        """A listener has nothing to say: reading finds out that it has gone."""
        try:
            if not self.sock.recv(4096):
                self.close()
        except BlockingIOError:
            pass
        except OSError:
            self.close()


class Broadcast(_Dispatcher):
    """The listening socket; ``send`` reaches everybody who has connected."""

    def __init__(self, path: str, socket_map: dict[int, Any]) -> None:
        if os.path.exists(path):
            os.unlink(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen(64)
        super().__init__(sock, socket_map)
        self.listeners: set[_Listener] = set()

    def send(self, line: bytes) -> None:
        for listener in list(self.listeners):
            listener.write(line)

    def handle_read_event(self) -> None:
        try:
            sock, _ = self.sock.accept()
        except OSError:
            return
        _Listener(sock, self.socket_map, self.listeners)

    def handle_error(self) -> None:
        """The door stays open whatever one visitor does."""

    def leave(self) -> None:
        for listener in self.listeners:
            listener.leave()
        super().leave()
