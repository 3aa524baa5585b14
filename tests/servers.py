"""Run pytest with PostgreSQL and Redis, not the embedded engines: ``python -m tests.servers ARGUMENTS``.

Both servers are started for the tests alone, in a temporary folder, and end with them.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.processes import is_alive
from tests.stack import eventually, free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
MISSING = "PostgreSQL or Redis is missing: on Debian, apt install postgresql redis-server"


def are_installed() -> bool:
    return bool(BINARIES and shutil.which("redis-server"))


class Postgresql:
    """A PostgreSQL server of the tests' own, which can be stopped in between.

    It listens at ``address``; what it is started with has ``prefix`` in front.
    """

    def __init__(self, folder: Path, address: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        self._folder, self._address, self._port = folder, address, free_port()
        self._prefix = list(prefix)
        # It refuses to run as root.
        self._as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as_user:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        self.url = f"postgres://postgres@{address}:{self._port}"
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "-N")
        if address != "127.0.0.1":
            with (self._data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")

    def start(self) -> None:
        options = f"-k {self._folder} -p {self._port} " + " ".join(
            f"-c {option}"
            for option in (
                *(
                    f"listen_addresses={self._address}",
                    "fsync=off",
                    "max_connections=500",
                    "shared_buffers=64MB",
                ),
                "unix_socket_permissions=0700",
            )
        )
        self._run("pg_ctl", "-D", self._data, "-w", "-o", options, "-l", self._folder / "log", "start")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def kill(self) -> None:
        """Kill all of its processes."""
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children()]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        eventually(lambda: not any(map(is_alive, processes)), what="PostgreSQL has ended")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._prefix, *self._as_user, f"{BINARIES[-1]}/{program}", *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/")


class Redis:
    """A Redis server of the tests' own, which keeps nothing. Address and prefix are as PostgreSQL's."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", prefix: Sequence[str] = ()) -> None:
        self._folder, self._address, self._port = folder, address, free_port()
        self._prefix = list(prefix)
        self.url = f"redis://{address}:{self._port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(*self._prefix, "redis-server", "--port", str(self._port), "--bind", self._address),
                *("--save", "", "--protected-mode", "no"),
            ],
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
        )
        eventually(self._answers, what="Redis is up")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    stop = kill

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return not probe.connect_ex((self._address, self._port))


@contextmanager
def running(server: type[Postgresql] | type[Redis], *where: Any) -> Iterator[Any]:
    """Run a server in a folder of its own; ``where`` is the address and the prefix of another machine."""
    with _folder() as folder:
        made = server(folder, *where)
        made.start()
        try:
            yield made
        finally:
            made.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="daemon-servers-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Run pytest with both servers; return its exit code."""
    if not are_installed():
        print(MISSING)
        return 2
    began = time.monotonic()
    with ExitStack() as servers:
        urls = {
            "TEST_POSTGRES_URL": servers.enter_context(running(Postgresql)).url,
            "TEST_REDIS_URL": servers.enter_context(running(Redis)).url,
        }
        print(f"PostgreSQL and Redis run after {time.monotonic() - began:.1f} s")
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(command, env={**os.environ, **urls}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
