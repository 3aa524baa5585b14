"""Uses circus over ZMQ, for the benchmark: one JSON request a line on standard input, one answer a line.

Runs in an environment of its own, which has circus. Usage: circus_client.py ENDPOINT PUBSUB_ENDPOINT
"""

import json
import sys
from typing import Any

import zmq  # type: ignore[import-not-found, unused-ignore]
from circus.client import CircusClient  # type: ignore[import-not-found, unused-ignore]

_TIMEOUT_SECONDS = 120.0


class Client:
    def __init__(self, endpoint: str, events: str) -> None:
        self.client = CircusClient(endpoint=endpoint, timeout=_TIMEOUT_SECONDS)
        self.subscriber = zmq.Context.instance().socket(zmq.SUB)
        self.subscriber.connect(events)

    def send(self, command: str, **properties: Any) -> int:
        """Send a command; return how many programs the answer is about."""
        answer = self.client.send_message(command, **properties)
        if answer.get("status") == "error":
            raise RuntimeError(answer.get("reason"))
        return len(answer.get("statuses") or answer.get("infos") or ())

    def listen(self, name: str) -> None:
        self.subscriber.setsockopt_string(zmq.SUBSCRIBE, f"watcher.{name}.reap")

    def end(self, name: str) -> None:
        """Wait for the event of a program's end."""
        while self.subscriber.recv_multipart()[0].decode() != f"watcher.{name}.reap":
            pass


def main() -> None:
    client = Client(*sys.argv[1:])
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request.pop("id")}
        try:
            answer["answer"] = getattr(client, request.pop("call"))(**request)
        except Exception as problem:
            answer["error"] = f"{type(problem).__name__}: {problem}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
