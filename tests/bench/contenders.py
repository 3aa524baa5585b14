"""The contenders: the same three operations over HTTP, over stock XML-RPC and with supervisorctl.

An operation has only the steps that its user needs: the others are measured at their best.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol
from xmlrpc.client import ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from tests.bench.plain import COMMAND, PlainSupervisord, idle_names, plain_supervisord
from tests.stack import Stack, eventually, temporary_stack


class Contender(Protocol):
    """Has a supervisord of its own, with the same number of idle programs as the others."""

    name: str
    supervisord_pid: int

    def add_and_start(self, program: str) -> None:
        """Start a program. The process may appear later; the benchmark waits for it."""

    def list_with_status(self) -> int:
        """List the programs, and return their number."""

    def stop_and_remove(self, program: str) -> None: ...

    def settle(self) -> None:
        """Wait for work that continues after an operation, so that it can't disturb the next contender's."""


class DaemonApi:
    """This project, by a client that keeps its connection."""

    name = "this project, HTTP"

    def __init__(self, stack: Stack, size: int) -> None:
        self.supervisord_pid = stack.supervisord_pid
        self.mirror = stack.folder / "programs.json"
        self.api = stack.api
        self.ids: dict[str, int] = {}
        for example in self.api.get("programs").json()["programs"]:
            self.api.ok(f"programs/remove/{example['id']}")
        for name in idle_names(size):
            self.ids[name] = self.api.add(COMMAND, name=name)
        self.settle()

    def add_and_start(self, program: str) -> None:
        self.ids[program] = self.api.add(COMMAND, name=program)
        self.api.ok(f"programs/{self.ids[program]}/start")

    def list_with_status(self) -> int:
        programs = self.api.get("programs", include_status="true").json()["programs"]
        return sum("status" in program for program in programs)

    def stop_and_remove(self, program: str) -> None:
        self.api.ok(f"programs/remove/{self.ids.pop(program)}")

    def settle(self) -> None:
        """Wait until ``programs.json`` is written, a moment after a change."""
        eventually(lambda: self.mirror.read_text().count('"name": ') == len(self.ids), what="it is written")


class XmlRpc:
    """Stock supervisord over its socket, by a client that keeps its connection."""

    name = "XML-RPC, stock"

    def __init__(self, plain: PlainSupervisord) -> None:
        self.plain = plain
        self.supervisord_pid = plain.pid
        transport = SupervisorTransport(None, None, f"unix://{plain.socket}")
        self.rpc: Any = ServerProxy("http://localhost", transport=transport).supervisor

    def add_and_start(self, program: str) -> None:
        self.plain.write_program(program)
        self.rpc.reloadConfig()
        self.rpc.addProcessGroup(program)

    def list_with_status(self) -> int:
        return len(self.rpc.getAllProcessInfo())

    def stop_and_remove(self, program: str) -> None:
        self.rpc.stopProcess(program)
        self.rpc.removeProcessGroup(program)
        self.plain.forget_program(program)

    def settle(self) -> None:
        """Nothing goes on."""


class Supervisorctl:
    """Supervisord's own tool, a process for each operation: ``update`` rereads, starts and stops."""

    name = "supervisorctl"

    def __init__(self, plain: PlainSupervisord) -> None:
        self.plain = plain
        self.supervisord_pid = plain.pid
        tool = Path(sys.executable).with_name("supervisorctl")
        self.command = [str(tool), "-c", str(plain.configuration)]

    def add_and_start(self, program: str) -> None:
        self.plain.write_program(program)
        self._run("update", f"{program}: added process group")

    def list_with_status(self) -> int:
        return len(self._run("status").splitlines())

    def stop_and_remove(self, program: str) -> None:
        self.plain.forget_program(program)
        self._run("update", f"{program}: removed process group")

    def settle(self) -> None:
        """Nothing goes on."""

    def _run(self, action: str, expected: str = "") -> str:
        # The exit code does not matter: `status` fails if any program is stopped.
        result = subprocess.run([*self.command, action], capture_output=True, text=True)
        assert expected in result.stdout, f"supervisorctl {action}: {result.stdout}{result.stderr}"
        return result.stdout


@contextlib.contextmanager
def contenders(size: int) -> Iterator[list[Contender]]:
    """Yield all contenders, running, each with ``size`` idle programs."""
    with temporary_stack() as stack, plain_supervisord(size) as one, plain_supervisord(size) as other:
        yield [DaemonApi(stack.start(), size), XmlRpc(one), Supervisorctl(other)]
