"""The client of supervisord: the only module that calls it.

Faults and socket errors are translated here. Callers see ``SupervisorUnavailable`` and
``ChangeNotTaken`` instead.
"""

import base64
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

from daemon_programs import transactions
from daemon_programs.exceptions import ChangeNotTaken, NotRegistered, SupervisorUnavailable
from daemon_programs.supervisor.states import (
    InputRefusal,
    JournalBatch,
    ProgramState,
    Refusal,
    ReloadsRequested,
    States,
)
from daemon_programs.supervisor.view import View

ALL = "*"  # all processes of a program
_PATIENCE_SECONDS = 5  # for one call: a healthy supervisord answers each at once


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE_SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _UnixTransport(xmlrpc.client.Transport):
    """Keep one connection open. If it is stale (supervisord was restarted), it is opened again once."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._connection[1] is None:
            self._connection = host, _UnixConnection(self.path)
        return self._connection[1]  # type: ignore[return-value]


class Supervisor:
    """Call supervisord. An instance may be shared: each thread has its own connection.

    ``actor`` returns who requests a change; it is sent with each change (`daemon_programs.actors`).

    Raise SupervisorUnavailable if supervisord can't be reached or does not answer in time (in a
    ``write_transaction``, one call that fails like this is the last that is tried), and
    ChangeNotTaken if it answers with a fault: NotRegistered if it does not have the program.
    """

    def __init__(self, socket_path: Path, actor: Callable[[], str] = lambda: "daemon") -> None:
        self._socket_path = str(socket_path)
        self._actor = actor
        self._local = threading.local()
        self._view = View()  # of the last answer; threads may replace each other's

    def is_running(self) -> bool:
        """Return whether a supervisord listens on the socket. It may still be slow, or answer with faults."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(self._socket_path)
            except OSError:
                return False
        return True

    def announce(self) -> None:
        """Have supervisord print that the API is ready, and its address."""
        self._call("announce")

    def apply(self, group: str) -> ProgramState:
        """Have supervisord read a program's file and run the program accordingly; return its state.

        The plugin's ``apply`` says what becomes of a running program.
        """
        return self._change("apply", group)

    def remove(self, group: str) -> None:
        """Have supervisord stop and forget a program, without waiting for its end."""
        self._change("remove", group)

    def start(self, group: str, process: str = ALL) -> ProgramState | Refusal:
        """Start a process, or all; return the program's state, or why a start can't succeed."""
        return self._change("start", group, process)

    def stop(self, group: str, process: str = ALL) -> ProgramState:
        """Begin to stop a process, or all; return the program's state without waiting for the end."""
        return self._change("stop", group, process)

    def restart(self, group: str, process: str = ALL) -> ProgramState:
        """Stop and start in one step; return the program's state without waiting.

        ``ALL`` restarts what runs. A process that is named is started if it does not run.
        """
        return self._change("restart", group, process)

    def signal(self, group: str, process: str, signal: str, scope: str) -> ProgramState | Refusal:
        """Signal a process, or all, or their trees; return the program's state, or that nothing runs."""
        return self._change("signal", group, process, signal, scope)

    def reload(self, group: str, process: str = ALL) -> ReloadsRequested | Refusal:
        """Begin to reload a process, or all; return the numbers of the requests, or that nothing runs."""
        return self._change("reload", group, process)

    def write_input(self, group: str, process: str, text: str, *, close: bool) -> InputRefusal | None:
        """Write to a process' standard input, and with ``close`` end it; return why that can't be done."""
        data = base64.b64encode(text.encode()).decode()
        return self._call("write_input", group, process, data, close, _deadline())

    def state(self, group: str) -> ProgramState | None:
        """Return a program's state; None if supervisord does not have it."""
        return self._call("state", group)

    def states(self) -> States:
        """Return the states of all programs and of the stack's own processes, in one call."""
        view = self._view
        answer = self._call("states", view.boot, view.number)
        view = self._view = view.updated(answer)
        return view.states(answer)

    def journal(self, boot: str, number: int) -> JournalBatch:
        """Return the next entries of the journal, and have those of ``boot`` up to ``number`` dropped."""
        return self._call("journal", boot, number)

    def recorded(self) -> None:
        """Wake the event streams: events were added to the history."""
        self._call("recorded")

    def revive(self, part: str) -> None:
        """Kill one of the stack's own processes that hangs, or start it if it does not run.

        After a kill supervisord restarts it.
        """
        try:
            self._ask(lambda proxy: proxy.supervisor.signalProcess(part, "KILL"))
        except ChangeNotTaken:  # not running
            self._ask(lambda proxy: proxy.supervisor.startProcess(part, False))

    def start_part(self, part: str) -> None:
        """Have one of the stack's own processes run, which is only started when it is needed."""
        try:
            self._ask(lambda proxy: proxy.supervisor.startProcess(part, False))
        except ChangeNotTaken as problem:
            from supervisor.xmlrpc import Faults  # as below

            fault = problem.__cause__
            if not isinstance(fault, xmlrpc.client.Fault) or fault.faultCode != Faults.ALREADY_STARTED:
                raise

    def _change(self, method: str, *arguments: str) -> Any:
        # XML can't carry every character of a user's name; `events.read` reverses the escape.
        by = self._actor().encode("unicode_escape").decode()
        return self._call(method, *arguments, by, _deadline())

    def _call(self, method: str, *arguments: str | float) -> Any:
        return self._ask(lambda proxy: json.loads(getattr(proxy.daemon, method)(*arguments)))

    def _ask(self, call: Callable[[xmlrpc.client.ServerProxy], Any]) -> Any:
        if transactions.has_given_up(self):
            raise SupervisorUnavailable
        proxy = self._proxy()
        try:
            return call(proxy)
        except xmlrpc.client.Fault as fault:
            raise _translate(fault) from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ValueError) as problem:
            self._disconnect()
            transactions.give_up(self)
            raise SupervisorUnavailable from problem
        except xml.parsers.expat.ExpatError as problem:
            self._disconnect()
            raise SupervisorUnavailable("supervisord's answer can't be read") from problem
        except BaseException:
            self._disconnect()  # the answer would be taken for that of the next call
            raise

    def _proxy(self) -> xmlrpc.client.ServerProxy:
        if not hasattr(self._local, "proxy"):
            self._local.proxy = xmlrpc.client.ServerProxy(
                "http://localhost/RPC2", transport=_UnixTransport(self._socket_path)
            )
        return self._local.proxy

    def _disconnect(self) -> None:
        """Close this thread's connection; the next call opens a new one."""
        proxy = self._local.__dict__.pop("proxy", None)
        if proxy is not None:
            proxy("close")()


def _deadline() -> float:
    """Return until when the plugin may act on a call: afterwards its caller has reported that nothing was."""
    return time.monotonic() + _PATIENCE_SECONDS


def _translate(fault: xmlrpc.client.Fault) -> Exception:
    from supervisor.xmlrpc import Faults  # with much of supervisord, for what seldom happens

    if fault.faultCode == Faults.SHUTDOWN_STATE:
        return SupervisorUnavailable("supervisord is shutting down; nothing was changed")
    if fault.faultCode == Faults.BAD_NAME:
        return NotRegistered()
    if fault.faultCode == Faults.UNKNOWN_METHOD:
        return SupervisorUnavailable("supervisord runs without the daemon's plugin")
    return ChangeNotTaken("supervisord did not take the change")
