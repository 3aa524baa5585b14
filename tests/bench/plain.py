"""A plain supervisord, set up as its manual says: one INI file a program, included by a pattern."""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from daemon_programs.supervisor.processes.tree import descend, send
from tests.stack import eventually

COMMAND = "sleep 1000"


def idle_names(size: int) -> list[str]:
    """The names of the programs that are only configured."""
    return [f"idle-{number}" for number in range(size)]


class PlainSupervisord:
    """A supervisord that runs as soon as the object is created."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.socket = folder / "supervisor.sock"
        self.configuration = folder / "supervisord.conf"
        self.configuration.write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={folder}/supervisord.log\npidfile={folder}/pid\n"
            # supervisord removes old logs there; its default, the temporary folder, holds logs of others.
            f"childlogdir={folder}\n"
            f"[unix_http_server]\nfile={self.socket}\n"
            f"[supervisorctl]\nserverurl=unix://{self.socket}\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[include]\nfiles={folder}/conf.d/*.conf\n"
        )
        (folder / "conf.d").mkdir()
        for name in idle_names(size):
            self.write_program(name, autostart=False)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self.configuration],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then stops it
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until_up(self) -> None:
        eventually(self._is_up, 60, "the plain supervisord is up")

    def _is_up(self) -> bool:
        assert self.process.poll() is None, "the plain supervisord has ended"
        return self.socket.exists()

    def write_program(self, name: str, *, autostart: bool = True) -> None:
        self._file(name).write_text(
            f"[program:{name}]\ncommand={COMMAND}\nautostart={str(autostart).lower()}\nstartsecs=1\n"
            f"stdout_logfile={self.folder}/{name}.out\nstderr_logfile={self.folder}/{name}.err\n"
        )

    def forget_program(self, name: str) -> None:
        self._file(name).unlink()

    def _file(self, name: str) -> Path:
        return self.folder / "conf.d" / f"{name}.conf"

    def end(self) -> None:
        """End it with its children, which would survive a killed supervisord."""
        tree = descend([self.pid])
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for identity in tree:
            send(identity, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def plain_supervisord(size: int) -> Iterator[PlainSupervisord]:
    """Run one with ``size`` idle programs, in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="daemon-bench-"))
    try:
        plain = PlainSupervisord(folder, size)
        try:
            plain.wait_until_up()
            yield plain
        finally:
            plain.end()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
