"""pm2, over its JS API and with its command line. Both use the same daemon."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon_programs.supervisor.processes.tree import descend, identify
from tests.bench.peers import Pm2
from tests.bench.processes import COMMAND, LIMIT_SECONDS, PROGRAM, kill_marked, wait, wait_for_programs
from tests.bench.sides.driver import Driver
from tests.bench.sides.plain import bench_folder
from tests.bench.sides.side import Daemon, Side, idle_names, log_files

_DRIVER = Path(__file__).with_name("drivers") / "pm2.js"


class Pm2Daemon(Daemon):
    name = "pm2"

    def __init__(self, folder: Path, installed: Pm2) -> None:
        self.folder = folder
        self.installed = installed
        self.environment = {**os.environ, "PM2_HOME": str(folder), "PM2_SILENT": "true"}
        self._driver: Driver | None = None
        self.sides = [Pm2Api(self), Pm2CommandLine(self)]

    @property
    def driver(self) -> Driver:
        assert self._driver is not None
        return self._driver

    @property
    def pid(self) -> int:
        return int((self.folder / "pm2.pid").read_text())

    def set_up(self, size: int) -> None:
        """Add one program, and have pm2 load a list of many like it: adding each takes minutes."""
        self._connect()
        if size:
            first = idle_names(1)[0]
            self.driver.call("start", options=self.options(first))
            self.driver.call("dump")
            dump = self.folder / "dump.pm2"
            example = json.dumps(json.loads(dump.read_text())[0])
            dump.write_text(
                json.dumps([json.loads(example.replace(first, name)) for name in idle_names(size)])
            )
            self.stop()
            self.size = size
            self.boot()

    def options(self, program: str) -> dict[str, object]:
        output, errors = log_files(self.folder, program)
        return {
            "name": program,
            "script": PROGRAM,
            "args": COMMAND.split()[1:],
            "interpreter": "none",
            "autorestart": False,
            "output": str(output),
            "error": str(errors),
        }

    def boot(self) -> None:
        self._connect()
        if self.size:
            self.driver.call("resurrect")
        wait_for_programs(self.pid, self.size)

    def _connect(self) -> None:
        """Start the daemon, as each client of pm2 does."""
        if self._driver is None:
            command = [self.installed.node, str(_DRIVER), str(self.installed.module)]
            self._driver = Driver(command, self.environment)
        self.driver.call("connect")

    def stop(self) -> None:
        tree = descend([self.pid])
        self.driver.call("kill")
        wait(lambda: not any(identify(each.pid) == each for each in tree), "pm2 is gone", pause=0.01)
        self.driver.close()
        self._driver = None

    def end(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None
        # By their environment: a daemon that is just being started has not written its pid.
        kill_marked(f"PM2_HOME={self.folder}")
        for name in ("pm2.pid", "rpc.sock", "pub.sock"):
            (self.folder / name).unlink(missing_ok=True)


class Pm2Api(Side):
    name = "pm2, JS API"

    def __init__(self, daemon: Pm2Daemon) -> None:
        self.daemon = self.pm2 = daemon

    def add_and_start(self, program: str) -> None:
        self.pm2.driver.call("start", options=self.pm2.options(program))

    def list_with_status(self) -> int:
        return int(self.pm2.driver.call("list"))

    def status_of_one(self, program: str) -> None:
        self.pm2.driver.call("describe", name=program)

    def restart(self, program: str) -> None:
        self.pm2.driver.call("restart", name=program)

    def stop_and_remove(self, program: str) -> None:
        self.pm2.driver.call("remove", name=program)

    @contextlib.contextmanager
    def events(self, program: str) -> Iterator[Callable[[], None]]:
        self.pm2.driver.call("listen")
        id = self.pm2.driver.send("end", name=program)
        yield lambda: self.pm2.driver.answer(id)


class Pm2CommandLine(Side):
    """A process for each operation."""

    name = "pm2, command line"

    def __init__(self, daemon: Pm2Daemon) -> None:
        self.daemon = self.pm2 = daemon

    def add_and_start(self, program: str) -> None:
        output, errors = log_files(self.pm2.folder, program)
        options = [
            "--interpreter",
            "none",
            "--no-autorestart",
            "--output",
            str(output),
            "--error",
            str(errors),
        ]
        self._run("start", PROGRAM, "--name", program, *options, "--", *COMMAND.split()[1:])

    def list_with_status(self) -> int:
        return len(json.loads(self._run("jlist")))

    def status_of_one(self, program: str) -> None:
        self._run("describe", program)

    def restart(self, program: str) -> None:
        self._run("restart", program)

    def stop_and_remove(self, program: str) -> None:
        self._run("delete", program)

    def _run(self, *arguments: str) -> str:
        command = [self.pm2.installed.node, str(self.pm2.installed.module / "bin" / "pm2"), *arguments]
        result = subprocess.run(
            command,
            env=self.pm2.environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            start_new_session=True,
        )
        if result.returncode:
            raise RuntimeError(f"pm2 {arguments[0]}: {result.stdout[-300:]}{result.stderr[-300:]}")
        return result.stdout


@contextlib.contextmanager
def pm2(installed: Pm2) -> Iterator[Pm2Daemon]:
    """Yield pm2's daemon, which doesn't run yet, with a home of its own."""
    with bench_folder() as folder:
        daemon = Pm2Daemon(folder, installed)
        try:
            yield daemon
        finally:
            daemon.end()
