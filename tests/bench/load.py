"""Requests per second: a process of its own that sends the same request again and again, by plain sockets.

Reads from standard input what to do, as JSON, and writes what it has found.
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from typing import Any, NamedTuple

from tests.bench.sides.side import Request

_WARM_UP_SECONDS = 0.5


class Load(NamedTuple):
    rate: float  # requests per second
    p50: float  # milliseconds
    p99: float


def generate(request: Request, clients: int, seconds: float) -> Load:
    """Have another process send the request, by so many clients at a time."""
    asked = {
        "address": request.address,
        "text": request.text.decode(),
        "clients": clients,
        "seconds": seconds,
    }
    result = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        start_new_session=True,
    )
    if result.returncode:
        raise RuntimeError(result.stderr.strip().splitlines()[-1])
    return Load(**json.loads(result.stdout))


class Connection:
    """A client that keeps its connection, and sends its next request when it has the answer to the last."""

    def __init__(self, address: str | tuple[str, int], text: bytes) -> None:
        self.address, self.text = address, text
        self._open()
        self.send()

    def _open(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        self.socket.settimeout(30)
        self.socket.connect(self.address)

    def send(self) -> None:
        self._received, self._missing = b"", -1
        self.sent = time.perf_counter()
        self.socket.sendall(self.text)

    def receive(self) -> bool:
        """Read what is there; return whether the answer is complete."""
        read = self.socket.recv(1 << 18)
        if not read:
            raise ConnectionError("the server has closed a connection")
        if self._missing < 0:
            self._received += read
            head, end, body = self._received.partition(b"\r\n\r\n")
            if not end:
                return False
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise ConnectionError(head.split(b"\r\n")[0].decode())
            self._missing = _length(head) - len(body)
        else:
            self._missing -= len(read)
        return self._missing == 0


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise ConnectionError("an answer has no length")


def run(address: str | tuple[str, int], text: bytes, clients: int, seconds: float) -> Load:
    selector = selectors.DefaultSelector()
    for _ in range(clients):
        connection = Connection(address, text)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    begin = time.perf_counter() + _WARM_UP_SECONDS
    end = begin + seconds
    took: list[float] = []
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(end - now):
            if key.data.receive():
                if key.data.sent >= begin:
                    took.append(time.perf_counter() - key.data.sent)
                key.data.send()
    if not took:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    took.sort()
    return Load(len(took) / seconds, percentile(took, 50), percentile(took, 99))


def percentile(values: list[float], percent: int) -> float:
    """Return the value that so many percent of the sorted values don't exceed, in milliseconds."""
    return values[max(0, -(-len(values) * percent // 100) - 1)] * 1000


def main() -> None:
    asked: dict[str, Any] = json.load(sys.stdin)
    address = asked["address"]
    found = run(
        address if isinstance(address, str) else tuple(address),
        asked["text"].encode(),
        asked["clients"],
        asked["seconds"],
    )
    print(json.dumps(found._asdict()))


if __name__ == "__main__":
    main()
