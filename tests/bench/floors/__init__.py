"""Floors: what the steps of an operation cost at least, measured by themselves in the same rounds."""

import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from tests.bench.processes import COMMAND, timed, wait
from tests.bench.sides.plain import PlainSupervisord, bench_folder, plain_supervisord
from tests.stack import PROJECT, free_port

# The steps that an operation of this project can't do without
STEPS: dict[str, dict[str, int]] = {
    "add": {"request": 2, "call": 2, "commit": 1, "fork": 1},
    "list": {"request": 1, "call": 1},
    "stats": {"request": 1, "call": 1},
    "status": {"request": 1, "call": 1},
    "one": {"request": 1, "call": 1},
    "restart": {"request": 1, "call": 1, "fork": 1},
    "remove": {"request": 1, "call": 1, "commit": 1},
    "wait": {"request": 1, "call": 1, "commit": 1, "fork": 1},
    "quick": {"request": 1, "call": 1, "commit": 1, "fork": 1},
}


class Floors:
    def __init__(self, plain: PlainSupervisord, database: sqlite3.Connection, port: int) -> None:
        transport = SupervisorTransport(None, None, f"unix://{plain.socket}")
        self._rpc: Any = ServerProxy("http://localhost", transport=transport).supervisor
        self._database = database
        self._connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self._started: list[subprocess.Popen[bytes]] = []
        self.all: dict[str, Callable[[], None]] = {
            "fork": self._fork,
            "call": self._call,
            "request": self._request,
            "commit": self._commit,
        }

    def measure(self) -> dict[str, float]:
        """Return the milliseconds of each."""
        found = {key: timed(floor) for key, floor in self.all.items()}
        self.clean_up()
        return found

    def clean_up(self) -> None:
        while self._started:
            process = self._started.pop()
            process.kill()
            process.wait()

    def _fork(self) -> None:
        """It returns after the exec."""
        self._started.append(subprocess.Popen(COMMAND.split(), start_new_session=True))

    def _call(self) -> None:
        self._rpc.getState()

    def _request(self) -> None:
        self._connection.request("GET", "/")
        self._connection.getresponse().read()

    def _commit(self) -> None:
        with self._database:
            self._database.execute("INSERT INTO floor (text) VALUES ('a row')")


@contextlib.contextmanager
def floors() -> Iterator[Floors]:
    """Yield the floors: a supervisord without programs, a site with one empty page, a new database."""
    with bench_folder() as folder, plain_supervisord() as plain, contextlib.ExitStack() as closing:
        plain.boot()
        database = closing.enter_context(contextlib.closing(_database(folder / "floor.sqlite3")))
        port = closing.enter_context(_empty_site(folder))
        found = Floors(plain, database, port)
        closing.callback(found.clean_up)
        yield found


def _database(file: Path) -> sqlite3.Connection:
    """A database with the project's settings."""
    database = sqlite3.connect(file)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute("CREATE TABLE floor (id INTEGER PRIMARY KEY, text TEXT)")
    return database


@contextlib.contextmanager
def _empty_site(folder: Path) -> Iterator[int]:
    """Serve Django with one empty page as the project is served: by gunicorn's threads; yield the port."""
    port = free_port()
    application = "tests.bench.floors.empty_site:application"
    options = [
        "--worker-class",
        "gthread",
        "--threads",
        "4",
        "--bind",
        f"127.0.0.1:{port}",
        "--keep-alive",
        "600",
    ]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gunicorn",
            *options,
            "--worker-tmp-dir",
            str(folder),
            "--no-control-socket",
            application,
        ],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError("the empty site has ended")
        with (
            contextlib.suppress(OSError),
            contextlib.closing(HTTPConnection("127.0.0.1", port)) as connection,
        ):
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        return False

    try:
        wait(answers, "the empty site answers", pause=0.05)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
