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
from tests.bench.processes import COMMAND, LIMIT_SECONDS, wait, wait_for_programs
from tests.bench.sides.side import Daemon, idle_names, log_files


class PlainSupervisord(Daemon):
    """A supervisord without anything of this project."""

    name = "supervisord"

    def __init__(self, folder: Path) -> None:
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
        self.process: subprocess.Popen[bytes] | None = None
        self.sides = []

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def set_up(self, size: int) -> None:
        self.size = size
        for name in idle_names(size):
            self.write_program(name)
        self.boot()

    def boot(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self.configuration],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the benchmark, which then stops it
        )
        wait(self._is_up, "the plain supervisord is up", pause=0.01)
        wait_for_programs(self.pid, self.size)

    def _is_up(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError("the plain supervisord has ended")
        return self.socket.exists()

    def write_program(self, name: str) -> None:
        output, errors = log_files(self.folder, name)
        self._file(name).write_text(
            f"[program:{name}]\ncommand={COMMAND}\nautostart=true\nautorestart=false\nstartsecs=1\n"
            f"stdout_logfile={output}\nstderr_logfile={errors}\n"
        )

    def forget_program(self, name: str) -> None:
        self._file(name).unlink()

    def _file(self, name: str) -> Path:
        return self.folder / "conf.d" / f"{name}.conf"

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(LIMIT_SECONDS)
        self.process = None

    def end(self) -> None:
        """Kill it with its children, which would survive it."""
        if self.process is not None:
            tree = descend([self.process.pid])
            self.process.kill()
            self.process.wait()
            for identity in tree:
                send(identity, signal.SIGKILL)
            self.process = None
        self.socket.unlink(missing_ok=True)


@contextlib.contextmanager
def plain_supervisord() -> Iterator[PlainSupervisord]:
    """Yield one that doesn't run yet, in a temporary folder."""
    with bench_folder() as folder:
        plain = PlainSupervisord(folder)
        try:
            yield plain
        finally:
            plain.end()


@contextlib.contextmanager
def bench_folder() -> Iterator[Path]:
    """Yield a folder whose path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="daemon-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
