"""Run pytest with PostgreSQL and Redis, not the embedded engines: ``python -m tests.servers ARGUMENTS``.

Both servers are started for the tests alone, in a temporary folder, and end with them.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.stack import eventually, free_port

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL server; give its address."""
    binaries = _BINARIES[-1]
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    with _folder() as folder:
        if as_user:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        data, port = folder / "data", free_port()
        _run([*as_user, f"{binaries}/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N"])
        options = (
            f"-k {folder} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=500 "
            "-c shared_buffers=64MB"
        )
        control = [*as_user, f"{binaries}/pg_ctl", "-D", data, "-w"]
        _run([*control, "-o", options, "-l", folder / "log", "start"])
        try:
            yield f"postgres://postgres@127.0.0.1:{port}"
        finally:
            _run([*control, "-m", "immediate", "stop"])


@contextmanager
def redis() -> Iterator[str]:
    """Run a Redis server that keeps nothing; give its address."""
    with _folder() as folder:
        port = free_port()
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            eventually(lambda: _answers(port), what="Redis is up")
            yield f"redis://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(10)


def _answers(port: int) -> bool:
    return subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True).returncode == 0


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="daemon-servers-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[object]) -> None:
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, cwd="/")


def main(arguments: list[str]) -> int:
    """Run pytest with both servers; return its exit code."""
    if not _BINARIES or not shutil.which("redis-server"):
        print("PostgreSQL or Redis is missing: on Debian, apt install postgresql redis-server")
        return 2
    began = time.monotonic()
    with ExitStack() as servers:
        urls = {
            "TEST_POSTGRES_URL": servers.enter_context(postgresql()),
            "TEST_REDIS_URL": servers.enter_context(redis()),
        }
        print(f"PostgreSQL and Redis run after {time.monotonic() - began:.1f} s")
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(command, env={**os.environ, **urls}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
