"""Stock supervisord: over XML-RPC, and with its own tool. Both use the same one."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy, dumps

from supervisor.xmlrpc import SupervisorTransport

from tests.bench.processes import LIMIT_SECONDS
from tests.bench.sides.plain import PlainSupervisord, plain_supervisord
from tests.bench.sides.side import Request, Side


class XmlRpc(Side):
    """Stock supervisord over its socket, by a client that keeps its connection."""

    name = "supervisord, XML-RPC"

    def __init__(self, plain: PlainSupervisord) -> None:
        self.daemon = self.plain = plain
        self._connected_to = 0
        self._rpc: Any = None

    @property
    def rpc(self) -> Any:
        """The kept connection; another one after another boot."""
        if self._connected_to != self.plain.pid:
            self._connected_to = self.plain.pid
            transport = SupervisorTransport(None, None, f"unix://{self.plain.socket}")
            self._rpc = ServerProxy("http://localhost", transport=transport).supervisor
        return self._rpc

    def add_and_start(self, program: str) -> None:
        self.plain.write_program(program)
        self.rpc.reloadConfig()
        self.rpc.addProcessGroup(program)

    def list_with_status(self) -> int:
        return len(self.rpc.getAllProcessInfo())

    def status_of_one(self, program: str) -> None:
        self.rpc.getProcessInfo(program)

    def restart(self, program: str) -> None:
        self.rpc.stopProcess(program)
        self.rpc.startProcess(program, False)

    def stop_and_remove(self, program: str) -> None:
        self.rpc.stopProcess(program)
        self.rpc.removeProcessGroup(program)
        self.plain.forget_program(program)

    def request_for_one(self, program: str) -> Request:
        return self._request("supervisor.getProcessInfo", program)

    def request_for_all(self) -> Request:
        return self._request("supervisor.getAllProcessInfo")

    def _request(self, method: str, *arguments: str) -> Request:
        body = dumps(arguments, method).encode()
        head = (
            "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return Request(str(self.plain.socket), head.encode() + body)


class Supervisorctl(Side):
    """Supervisord's own tool, a process for each operation: ``update`` rereads, starts and stops."""

    name = "supervisorctl"

    def __init__(self, plain: PlainSupervisord) -> None:
        self.daemon = self.plain = plain
        tool = Path(sys.executable).with_name("supervisorctl")
        self.command = [str(tool), "-c", str(plain.configuration)]

    def add_and_start(self, program: str) -> None:
        self.plain.write_program(program)
        self._run("update", f"{program}: added process group")

    def list_with_status(self) -> int:
        return len(self._run("status").splitlines())

    def status_of_one(self, program: str) -> None:
        self._run(f"status {program}", program)

    def restart(self, program: str) -> None:
        self._run(f"restart {program}", f"{program}: started")

    def stop_and_remove(self, program: str) -> None:
        self.plain.forget_program(program)
        self._run("update", f"{program}: removed process group")

    def _run(self, action: str, expected: str = "") -> str:
        # The exit code does not matter: `status` fails if any program is stopped.
        result = subprocess.run(
            [*self.command, *action.split()],
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            start_new_session=True,
        )
        if expected not in result.stdout:
            raise RuntimeError(f"supervisorctl {action}: {result.stdout}{result.stderr}")
        return result.stdout


@contextlib.contextmanager
def stock_supervisord() -> Iterator[PlainSupervisord]:
    with plain_supervisord() as plain:
        plain.sides = [XmlRpc(plain), Supervisorctl(plain)]
        yield plain
