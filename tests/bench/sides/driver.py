"""A client in another language or environment: it gets a request a line, and gives an answer a line."""

import contextlib
import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.processes import LIMIT_SECONDS


class Driver:
    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the benchmark
        )
        self._ids = itertools.count()
        self._received = b""

    def call(self, call: str, **given: Any) -> Any:
        id = self.send(call, **given)
        return self.answer(id)

    def send(self, call: str, **given: Any) -> int:
        assert self._process.stdin is not None
        id = next(self._ids)
        self._process.stdin.write(json.dumps({"id": id, "call": call, **given}).encode() + b"\n")
        self._process.stdin.flush()
        return id

    def answer(self, id: int) -> Any:
        """Wait for the answer to a request, and skip late ones to earlier requests."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while True:
            line = self._line(deadline)
            if not line.startswith(b'{"id"'):
                continue  # what the peer writes for people
            answer = json.loads(line)
            if answer["id"] == id:
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["answer"]

    def _line(self, deadline: float) -> bytes:
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        while b"\n" not in self._received:
            if not select.select([output], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError(f"no answer within {LIMIT_SECONDS:.0f} s")
            read = os.read(output, 65536)
            if not read:
                raise RuntimeError("the client has ended")
            self._received += read
        line, _, self._received = self._received.partition(b"\n")
        return line

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # a request that was never read
                if pipe is not None:
                    pipe.close()
