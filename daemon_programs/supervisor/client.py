"""The client: the one place that talks to supervisord, and the one translation of its faults.

Callers see ``SupervisorUnavailable`` and ``ChangeNotTaken``, never a fault or a socket error.
"""

import http.client
import json
import socket
import threading
import time
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import Faults

from daemon_programs.exceptions import ChangeNotTaken, NotRegistered, SupervisorUnavailable
from daemon_programs.supervisor.states import JournalBatch, ProgramState, Refusal, States

ALL = "*"  # of a program's processes
_PATIENCE_SECONDS = 5  # how long one call may take: each is answered at once by a healthy supervisord


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE_SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _UnixTransport(xmlrpc.client.Transport):
    """Keeps its connection; a stale one (supervisord was started anew) is made again once."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._connection[1] is None:
            self._connection = host, _UnixConnection(self.path)
        return self._connection[1]  # type: ignore[return-value]


class Supervisor:
    """supervisord, as this project uses it. Safe to share: each thread has its own connection.

    ``actor`` tells who asks, with each change (`daemon_programs.actors`).
    """

    def __init__(self, socket_path: Path, actor: Callable[[], str] = lambda: "daemon") -> None:
        self._socket_path = str(socket_path)
        self._actor = actor
        self._local = threading.local()

    def is_running(self) -> bool:
        """Whether a supervisord listens at all (it may still be slow, or refuse)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(self._socket_path)
            except OSError:
                return False
        return True

    def announce(self) -> None:
        """Have supervisord say that the API is there."""
        self._call("announce")

    def apply(self, group: str) -> ProgramState:
        """Bring one program to what its file says; see the plugin's ``apply``."""
        return self._change("apply", group)

    def remove(self, group: str) -> None:
        """Stop and forget one program, without waiting for it."""
        self._change("remove", group)

    def start(self, group: str, process: str = ALL) -> ProgramState | Refusal:
        """Start; the answer is the program's state, or ``{"refused": sentence}``."""
        return self._change("start", group, process)

    def stop(self, group: str, process: str = ALL) -> ProgramState:
        """Tell to stop; the answer is the program's state at once."""
        return self._change("stop", group, process)

    def restart(self, group: str, process: str = ALL) -> ProgramState:
        """Stop what runs, then start, as one."""
        return self._change("restart", group, process)

    def state(self, group: str) -> ProgramState | None:
        """One program's state; None when supervisord does not have it."""
        return self._call("state", group)

    def states(self) -> States:
        """The states of everything, in one call: ``{"pid", "programs", "stack"}``."""
        return self._call("states")

    def journal(self, boot: str, number: int) -> JournalBatch:
        """What has happened next; ``boot``'s entries up to ``number`` are forgotten."""
        return self._call("journal", boot, number)

    def recorded(self) -> None:
        """Tell those who follow what happens that there is more in the history."""
        self._call("recorded")

    def revive(self, part: str) -> None:
        """End a part of the stack itself that works no more: supervisord starts it again."""
        try:
            self._ask(lambda proxy: proxy.supervisor.signalProcess(part, "KILL"))
        except ChangeNotTaken:  # it does not run
            self._ask(lambda proxy: proxy.supervisor.startProcess(part, False))

    def _change(self, method: str, *arguments: str) -> Any:
        # Escaped, since not every text can be sent in XML; `events.read` has it as it was.
        by = self._actor().encode("unicode_escape").decode()
        # What isn't answered in time must not be done later on: it is said that nothing was changed.
        return self._call(method, *arguments, by, time.monotonic() + _PATIENCE_SECONDS)

    def _call(self, method: str, *arguments: str | float) -> Any:
        return self._ask(lambda proxy: json.loads(getattr(proxy.daemon, method)(*arguments)))

    def _ask(self, question: Callable[[xmlrpc.client.ServerProxy], Any]) -> Any:
        proxy = self._proxy()
        try:
            return question(proxy)
        except xmlrpc.client.Fault as fault:
            raise _translate(fault) from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ValueError) as problem:
            self._forget()
            raise SupervisorUnavailable from problem
        except xml.parsers.expat.ExpatError as problem:
            self._forget()
            raise SupervisorUnavailable("supervisord's answer can't be read") from problem
        except BaseException:
            self._forget()  # its answer is still on the line
            raise

    def _proxy(self) -> xmlrpc.client.ServerProxy:
        if not hasattr(self._local, "proxy"):
            self._local.proxy = xmlrpc.client.ServerProxy(
                "http://localhost/RPC2", transport=_UnixTransport(self._socket_path)
            )
        return self._local.proxy

    def _forget(self) -> None:
        """After a fault of the line the next call begins on a new one."""
        proxy = self._local.__dict__.pop("proxy", None)
        if proxy is not None:
            proxy("close")()


def _translate(fault: xmlrpc.client.Fault) -> Exception:
    if fault.faultCode == Faults.SHUTDOWN_STATE:
        return SupervisorUnavailable("supervisord is shutting down; nothing was changed")
    if fault.faultCode == Faults.BAD_NAME:
        return NotRegistered()
    if fault.faultCode == Faults.UNKNOWN_METHOD:
        return SupervisorUnavailable("supervisord runs without the daemon's plugin")
    return ChangeNotTaken("supervisord did not take the change")
