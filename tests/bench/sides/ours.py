"""This project, by a client that keeps its connection."""

import contextlib
import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.bench.processes import COMMAND, LIMIT_SECONDS, wait, wait_for_programs
from tests.bench.sides.side import Daemon, Request, Side, idle_names
from tests.stack import OWN_USER, Stack, copy_of_first_start, temporary_folder
from tests.stream_client import StreamClient

_PATH = "/api/v1/daemon"


class Client:
    """A client that adds little to what is measured: a connection of the standard library, kept open."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.connection = HTTPConnection("127.0.0.1", stack.port, timeout=LIMIT_SECONDS)

    def get(self, route: str, **query: str) -> dict[str, Any]:
        return self._ask("GET", f"{route}?{urlencode(query)}" if query else route)

    def post(self, route: str, **body: Any) -> dict[str, Any]:
        return self._ask("POST", route, json.dumps(body).encode())

    def _ask(self, method: str, route: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.stack.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self.connection.request(method, f"{_PATH}/{route}", body, headers)
            response = self.connection.getresponse()
            text = response.read()
        except OSError:
            self.connection.close()  # the next request opens another
            raise
        if response.status != 200:
            raise RuntimeError(f"{method} {route}: {response.status} {text[:200]!r}")
        return json.loads(text)


class OwnStack(Daemon):
    """A stack of this clone, or of another one."""

    def __init__(self, folder: Path, project: Path | None = None, name: str = "this project") -> None:
        self.name = name
        self.stack = Stack(folder / "state")
        if project is None:
            copy_of_first_start(self.stack.folder)
        else:
            self.stack.project = project
        self.client = Client(self.stack)
        self.sides = [DaemonApi(self)]

    @property
    def pid(self) -> int:
        assert self.stack.process is not None
        return self.stack.process.pid

    def set_up(self, size: int) -> None:
        self.size = size
        self.stack.start()
        for example in self.client.get("programs")["programs"]:
            self.client.post(f"programs/remove/{example['id']}")
        for name in idle_names(size):
            self.client.post("programs/add", name=name, command=COMMAND, user=OWN_USER, boot=True)
        wait_for_programs(self.pid, size)

    def boot(self) -> None:
        self.client.connection.close()
        self.stack.start()
        wait_for_programs(self.pid, self.size)

    def stop(self) -> None:
        self.stack.stop()

    def end(self) -> None:
        self.client.connection.close()
        self.stack.destroy()


class DaemonApi(Side):
    def __init__(self, daemon: OwnStack) -> None:
        self.daemon = daemon
        self.name = daemon.name
        self.own = daemon
        self.client = daemon.client
        self.ids: dict[str, int] = {}

    def prepare(self) -> None:
        self.client.connection.close()
        self.client.get("health")

    def add_and_start(self, program: str) -> None:
        # What is ended by a signal stays ended: that is an event of its own.
        added = self.client.post(
            "programs/add", name=program, command=COMMAND, user=OWN_USER, autorestart="false"
        )
        self.ids[program] = added["id"]
        self.client.post(f"programs/{added['id']}/start")

    def list_with_status(self) -> int:
        programs = self.client.get("programs", include_status="true")["programs"]
        return sum("status" in program for program in programs)

    def list_with_stats(self) -> int:
        programs = self.client.get("programs", include_stats="true")["programs"]
        return sum("stats" in program for program in programs)

    def status_of_all(self) -> int:
        return len(self.client.get("status")["statuses"])

    def status_of_one(self, program: str) -> None:
        self.client.get(f"status/{self.ids[program]}")

    def restart(self, program: str) -> None:
        self.client.post(f"programs/{self.ids[program]}/restart")

    def stop_and_remove(self, program: str) -> None:
        self.client.post(f"programs/remove/{self.ids.pop(program)}")

    @contextlib.contextmanager
    def events(self, program: str) -> Iterator[Callable[[], None]]:
        id = self.ids[program]
        with StreamClient(self.own.stack, "events/stream") as stream:

            def wait_for_the_end() -> None:
                while True:
                    event = stream.event(LIMIT_SECONDS)
                    if event.data.get("program_id") == id and event.data.get("state") == "exited":
                        return

            yield wait_for_the_end

    def run_to_its_end(self) -> None:
        self.client.post("quick-start", command="true", user=OWN_USER, autorestart="false", wait="exit")

    def quick_start(self) -> str:
        return str(self.client.post("quick-start", command=COMMAND, user=OWN_USER)["temporary_id"])

    def quick_stop(self, which: str) -> None:
        self.client.post(f"quick-start/{which}/stop")

    def request_for_one(self, program: str) -> Request:
        return self._request(f"status/{self.ids[program]}")

    def request_for_all(self) -> Request:
        return self._request("programs")

    def _request(self, route: str) -> Request:
        stack = self.own.stack
        head = (
            f"GET {_PATH}/{route} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {stack.token}\r\n\r\n"
        )
        return Request(("127.0.0.1", stack.port), head.encode())

    def settle(self) -> None:
        """Wait until ``programs.json`` is written, a moment after a change."""
        mirror = self.own.stack.folder / "programs.json"
        expected = self.own.size + len(self.ids)
        wait(lambda: mirror.read_text().count('"name": ') == expected, "programs.json is written", pause=0.01)


@contextlib.contextmanager
def own_stack(project: Path | None = None, name: str = "this project") -> Iterator[OwnStack]:
    """Yield a stack that isn't set up yet, in a temporary folder."""
    with temporary_folder() as folder:
        own = OwnStack(folder, project, name)
        try:
            yield own
        finally:
            own.end()
