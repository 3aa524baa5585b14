"""Clients of live streams: a plain socket each, so that they can read slowly or close abruptly."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.stack import Api, Stack

_PATH = "/api/v1/daemon/"


class StreamEvent(NamedTuple):
    """An event of a stream."""

    name: str
    data: dict[str, Any]
    id: str | None


class StreamEnded(AssertionError):
    """The server has closed the stream."""


class StreamClient:
    """An open stream. Its head is read at once, its events as they are asked for."""

    def __init__(
        self,
        stack: Stack,
        route: str,
        *,
        after: str | None = None,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> None:
        address = f"{_PATH}{route}" + (f"?{urlencode(query)}" if query else "")
        head = {"Host": "localhost", "Authorization": f"Bearer {token or stack.token}", **(headers or {})}
        if after is not None:
            head["Last-Event-ID"] = after
        lines = [f"GET {address} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items() if value)]
        self.socket = socket.create_connection(("127.0.0.1", stack.port), timeout=30)
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.last_id = after
        self.comments = 0
        self._received = b""
        head_text = self._until(b"\r\n\r\n", time.monotonic() + 30).decode("latin-1")
        status, *fields = head_text.strip().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}

    def __enter__(self) -> "StreamClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def event(self, timeout: float = 15) -> StreamEvent:
        """Return the next event; raise StreamEnded, or TimeoutError if none comes."""
        deadline = time.monotonic() + timeout
        while True:
            parsed = self._parse(self._until(b"\n\n", deadline).decode())
            if parsed is not None:
                return parsed

    def until(self, name: str, timeout: float = 15) -> StreamEvent:
        """Return the next event of this name, and skip those before it."""
        deadline = time.monotonic() + timeout
        while (parsed := self.event(deadline - time.monotonic())).name != name:
            pass
        return parsed

    def line(self, timeout: float = 15) -> str:
        return str(self.until("line", timeout).data["line"])

    def lines(self, number: int, timeout: float = 15) -> list[str]:
        return [self.line(timeout) for _ in range(number)]

    def rest(self, timeout: float = 15) -> Iterator[StreamEvent]:
        """All events until the server closes the stream."""
        while True:
            try:
                yield self.event(timeout)
            except StreamEnded:
                return

    def is_ended(self, timeout: float = 15) -> bool:
        """Wait for the end of the stream."""
        for _ in self.rest(timeout):
            pass
        return True

    def body(self) -> dict[str, Any]:
        """Return the body of a response that is not a stream."""
        length = int(self.headers["content-length"])
        while len(self._received) < length:
            self._receive(time.monotonic() + 15)
        return json.loads(self._received[:length])  # type: ignore[no-any-return]

    def _parse(self, block: str) -> StreamEvent | None:
        fields: dict[str, str] = {}
        for line in block.strip("\n").split("\n"):
            name, _, value = line.partition(": ")
            if not name:
                self.comments += 1
                continue
            assert name not in fields, block
            fields[name] = value
        self.last_id = fields.get("id", self.last_id)
        if "data" not in fields:
            return None
        return StreamEvent(fields["event"], json.loads(fields["data"]), fields.get("id"))

    def _until(self, end: bytes, deadline: float) -> bytes:
        while end not in self._received:
            self._receive(deadline)
        block, _, self._received = self._received.partition(end)
        return block

    def _receive(self, deadline: float) -> None:
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            received = self.socket.recv(1 << 20)
        except ConnectionResetError:
            received = b""
        if not received:
            raise StreamEnded(f"with {self._received[-200:]!r}")
        self._received += received


def follow(stack: Stack, id: int, **options: Any) -> StreamClient:
    """The log of a program."""
    return StreamClient(stack, f"programs/{id}/logs/stream", **options)


def proc_of_api(stack: Stack) -> Any:
    from pathlib import Path

    return Path("/proc") / str(api_pid(stack.api))


def api_pid(api: Api) -> int:
    """The process that answers."""
    return int(api.get("health").json()["pid"])
