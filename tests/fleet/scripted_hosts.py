"""Hosts that answer with what a test says, byte by byte, and remember what they were asked."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

Script = Callable[[socket.socket], None]


def answer(body: bytes = b'{"success":true}', status: str = "200 OK", **headers: str) -> Script:
    """Send an answer, and keep the connection open."""
    fields = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return lambda line: line.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


def hang_up(line: socket.socket) -> None:
    """Close the connection without an answer."""
    line.shutdown(socket.SHUT_RDWR)


class ScriptedHost:
    """A server, which does for each request the next step of its script, and repeats the last."""

    def __init__(self, *script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script = list(script)
        self.requests: list[bytes] = []
        self.gone = threading.Event()  # a client has closed its connection
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lines: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> "ScriptedHost":
        return self

    def __exit__(self, *exception: Any) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            line.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                self._lines.append(line)
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self._context:
                line = self._context.wrap_socket(line, server_side=True)
            received = b""
            while True:
                while b"\r\n\r\n" not in received:
                    if not (data := line.recv(65536)):
                        self.gone.set()
                        return
                    received += data
                head, _, body = received.partition(b"\r\n\r\n")
                if b"on-behalf-of:" not in head.lower():  # of the process that follows hosts, for no one
                    hang_up(line)
                    return
                length = next(
                    (
                        int(field[15:])
                        for field in head.lower().split(b"\r\n")
                        if field[:15] == b"content-length:"
                    ),
                    0,
                )
                while len(body) < length:
                    body += line.recv(65536)
                self.requests.append(head + b"\r\n\r\n" + body[:length])
                received = body[length:]
                step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                step(line)
