"""circus, over ZMQ and with circusctl. Both use the same daemon."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon_programs.supervisor.processes.tree import descend, identify, send
from tests.bench.peers import Circus
from tests.bench.processes import COMMAND, LIMIT_SECONDS, wait, wait_for_programs
from tests.bench.sides.driver import Driver
from tests.bench.sides.plain import bench_folder
from tests.bench.sides.side import Daemon, Side, idle_names, log_files

_DRIVER = Path(__file__).with_name("drivers") / "circus_client.py"


class CircusDaemon(Daemon):
    name = "circus"

    def __init__(self, folder: Path, installed: Circus) -> None:
        self.folder = folder
        self.installed = installed
        self.endpoint, self.events = f"ipc://{folder}/endpoint", f"ipc://{folder}/events"
        self._process: subprocess.Popen[bytes] | None = None
        self._driver: Driver | None = None
        self.sides = [CircusApi(self), Circusctl(self)]

    @property
    def driver(self) -> Driver:
        assert self._driver is not None
        return self._driver

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def set_up(self, size: int) -> None:
        self.size = size
        text = f"[circus]\nendpoint={self.endpoint}\npubsub_endpoint={self.events}\n"
        for name in idle_names(size):
            text += f"[watcher:{name}]\ncmd={COMMAND}\n"
            for stream, file in zip(("stdout", "stderr"), log_files(self.folder, name), strict=True):
                text += f"{stream}_stream.class=FileStream\n{stream}_stream.filename={file}\n"
        (self.folder / "circus.ini").write_text(text)
        self.boot()

    def boot(self) -> None:
        tool = self.installed.tool("circusd")
        self._process = subprocess.Popen(
            [tool, "--log-level", "error", str(self.folder / "circus.ini")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        command = [self.installed.python, str(_DRIVER), self.endpoint, self.events]
        self._driver = Driver(command)
        wait_for_programs(self.pid, self.size)
        self.driver.call("send", command="numwatchers")

    def stop(self) -> None:
        tree = descend([self.pid])
        self.driver.call("send", command="quit")
        assert self._process is not None
        self._process.wait(LIMIT_SECONDS)
        self._process = None
        wait(lambda: not any(identify(each.pid) == each for each in tree), "circus is gone", pause=0.01)
        self.driver.close()
        self._driver = None

    def end(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None
        if self._process is not None:
            tree = descend([self._process.pid])
            self._process.kill()
            self._process.wait()
            for identity in tree:
                send(identity, signal.SIGKILL)
            self._process = None


class CircusApi(Side):
    """Its lists carry names and states only."""

    name = "circus, ZMQ"

    def __init__(self, daemon: CircusDaemon) -> None:
        self.daemon = self.circus = daemon

    def _send(self, command: str, **properties: object) -> int:
        return int(self.circus.driver.call("send", command=command, **properties))

    def add_and_start(self, program: str) -> None:
        output, errors = log_files(self.circus.folder, program)
        options = {
            "respawn": False,
            "stdout_stream": {"class": "FileStream", "filename": str(output)},
            "stderr_stream": {"class": "FileStream", "filename": str(errors)},
        }
        self._send("add", name=program, cmd=COMMAND, start=True, options=options)

    def list_with_status(self) -> int:
        return self._send("status")

    def list_with_stats(self) -> int:
        return self._send("stats")

    def status_of_one(self, program: str) -> None:
        self._send("status", name=program)

    def restart(self, program: str) -> None:
        self._send("restart", name=program)

    def stop_and_remove(self, program: str) -> None:
        self._send("rm", name=program)

    @contextlib.contextmanager
    def events(self, program: str) -> Iterator[Callable[[], None]]:
        self.circus.driver.call("listen", name=program)
        id = self.circus.driver.send("end", name=program)
        yield lambda: self.circus.driver.answer(id)


class Circusctl(Side):
    """A process for each operation."""

    name = "circusctl"

    def __init__(self, daemon: CircusDaemon) -> None:
        self.daemon = self.circus = daemon

    def add_and_start(self, program: str) -> None:
        self._run("add", "--start", program, COMMAND)

    def list_with_status(self) -> int:
        return len(self._run("status").splitlines())

    def list_with_stats(self) -> int:
        return self._run("stats").count(":\n")

    def status_of_one(self, program: str) -> None:
        self._run("status", program)

    def restart(self, program: str) -> None:
        self._run("restart", program)

    def stop_and_remove(self, program: str) -> None:
        self._run("rm", program)

    def _run(self, *arguments: str) -> str:
        tool = self.circus.installed.tool("circusctl")
        command = [tool, "--timeout", f"{LIMIT_SECONDS:.0f}", "--endpoint", self.circus.endpoint, *arguments]
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, start_new_session=True
        )
        if result.returncode:
            raise RuntimeError(f"circusctl {arguments[0]}: {result.stdout[-300:]}{result.stderr[-300:]}")
        return result.stdout


@contextlib.contextmanager
def circus(installed: Circus) -> Iterator[CircusDaemon]:
    """Yield circusd, which doesn't run yet, in a temporary folder."""
    with bench_folder() as folder:
        daemon = CircusDaemon(folder, installed)
        try:
            yield daemon
        finally:
            daemon.end()
