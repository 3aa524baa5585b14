"""A real stack for tests: its own folder, its own port, the real supervisord, started as people do."""

import atexit
import contextlib
import functools
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import requests

from daemon_programs.supervisor.processes import survivors
from daemon_programs.supervisor.processes.notes import Owner
from tests import database, scripts
from tests.reaper import MARKER, reaper

PROJECT = Path(__file__).resolve().parent.parent
# Coverage is written by processes that end by themselves: none may be killed then.
_IS_MEASURED = "COVERAGE_FOLDER" in os.environ
# With these a first start makes no programs.
_RESTRICTED = {"DAEMON_ALLOWED_USERS", "DAEMON_WORK_ROOTS"}
_PREPARE = """
from django.core.management import call_command
from hoody_site.stack import start
start.become_supervisord = lambda lock: None
call_command("run_stack")
"""


def free_port() -> int:
    """Return a port below those that the system gives to clients, which could take it from a stack."""
    while True:
        port = 10_240 + secrets.randbelow(20_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def eventually(check: Callable[[], Any], timeout: float = 10.0, what: str = "") -> Any:
    """The first true value of ``check`` before the deadline; an AssertionError after it."""
    began = time.monotonic()
    while True:
        looked = time.monotonic()
        value = check()
        if value:
            return value
        now = time.monotonic()
        waited, cost = now - began, now - looked
        if waited > timeout:
            raise AssertionError(f"not within {timeout} s: {what or check}")
        # Others need the processor: what takes long is looked at less often, and noticed a tenth later at
        # most, and what is costly to look at too.
        time.sleep(max(0.01, min(waited / 10, 0.1), min(4 * cost, 0.25)))


class Api:
    """A client with one token, for the contract's routes."""

    def __init__(self, base: str, token: str | None) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def get(self, route: str, **query: Any) -> requests.Response:
        return self.session.get(f"{self.base}/{route}", params=query, timeout=60)

    def post(self, route: str, body: Any = None, **options: Any) -> requests.Response:
        if body is not None:
            options["json"] = body
        return self.session.post(f"{self.base}/{route}", timeout=60, **options)

    def ok(self, route: str, body: Any = None) -> dict[str, Any]:
        """Post, and expect success."""
        response = self.post(route, body)
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    def refused(self, route: str, body: Any = None, code: int = 400) -> str:
        """Post, and expect an error: its sentence."""
        response = self.post(route, body)
        assert response.status_code == code, response.text
        answer = response.json()
        assert answer["success"] is False
        return answer["error"]  # type: ignore[no-any-return]

    def add(self, command: str = "sleep 1000", **fields: Any) -> int:
        """Register a program, and return its id."""
        fields.setdefault("name", f"test {time.monotonic_ns()}")
        fields.setdefault("user", OWN_USER)
        return self.ok("programs/add", {"command": command, **fields})["id"]  # type: ignore[no-any-return]

    def status(self, id: int, **query: Any) -> dict[str, Any]:
        response = self.get(f"status/{id}", **query)
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    def word(self, id: int) -> str:
        """The status of an ordinary program, as one word."""
        return self.status(id)["status"]["status"]  # type: ignore[no-any-return]

    def pid(self, id: int) -> int | None:
        return self.status(id)["status"].get("pid")

    def until(self, id: int, *words: str, timeout: float = 15.0) -> dict[str, Any]:
        """Wait for a status; the answer of ``GET status/{id}`` that has it."""
        return eventually(
            lambda: (answer := self.status(id))["status"]["status"] in words and answer,
            timeout,
            f"program {id} is {words}",
        )

    def logs(self, id: int, **query: Any) -> str:
        response = self.get(f"programs/{id}/logs", **query)
        assert response.status_code == 200, response.text
        return response.json()["logs"]  # type: ignore[no-any-return]


OWN_USER = psutil.Process().username()
OTHER_USER = "nobody"  # a system user with no rights of its own


class Stack:
    """A stack in a temporary folder; ``start`` is ``make run`` without the installing.

    With ``is_set_up`` it has had its first start: without a folder it begins with a copy of one that has.
    """

    output_mode = "ab"
    project = PROJECT  # the clone whose code it runs
    refuses: ClassVar[str | None] = None  # the test under way, if it isn't marked with ``stack``

    def __init__(self, folder: Path, *, is_set_up: bool = False, **environment: str) -> None:
        self.folder = folder
        self.is_set_up = is_set_up
        self.address, self.port = "127.0.0.1", free_port()
        self.environment = environment
        self.prefix: list[str] = []  # of the command that starts it
        self.command = [sys.executable, "manage.py", "run_stack"]
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder.with_name(folder.name + ".out")

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def admin_host(self) -> str:
        """The host name and port under which sessions are valid."""
        return f"{(self.folder / 'admin-host').read_text().strip()}:{self.port}"

    def browser(self) -> requests.Session:
        """A client that reaches the stack under the admin's host name, which only browsers resolve."""
        session = requests.Session()
        session.trust_env = False
        session.headers["Host"] = self.admin_host
        return session

    @property
    def token(self) -> str:
        return (self.folder / "api-token").read_text().strip()

    @property
    def api(self) -> Api:
        return self.client(self.token)

    def client(self, token: str | None) -> Api:
        return Api(f"{self.url}/api/v1/daemon", token)

    @property
    def env(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DAEMON_")}
        return {
            **clean,
            MARKER: str(self.folder),
            "DAEMON_STATE_DIR": str(self.folder),
            "DAEMON_BIND": f"{self.address}:{self.port}",
            **database.environment_of(self.folder),
            **self.environment,
        }

    @property
    def supervisord_pid(self) -> int:
        return int((self.folder / "supervisord.pid").read_text())

    def start(self, timeout: float = 60) -> "Stack":
        assert self.refuses is None, f"{self.refuses} needs the marker `stack`: see tests/marks.py"
        self._make_folder()
        with self.output.open(self.output_mode) as output:
            self.process = subprocess.Popen(
                [*self.prefix, *self.command],
                cwd=self.project,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            eventually(self._is_up, timeout, "the stack is up")
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.output.read_text()[-2000:]}") from problem
        return self

    def prepare(self) -> str:
        """Do what a start does before supervisord is run, for tests of that alone; return what it says."""
        self._make_folder()
        done = self.manage("shell", "-v", "0", "--no-imports", "-c", _PREPARE)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _make_folder(self) -> None:
        reaper.remember(self.folder)
        if self.is_set_up and not self.folder.exists() and not _RESTRICTED & self.environment.keys():
            copy_of_first_start(self.folder)
        else:
            self.make_database()

    def make_database(self) -> None:
        """Make its database on the server of the tests, if there is one, before it is first used."""
        if database.POSTGRES:
            database.create(self.folder)

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()
        if str(self.process.pid) != self._pid_file():
            return False  # an older API may still answer
        with socket.socket() as probe:
            if probe.connect_ex((self.address, self.port)):
                return False
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/api/v1/daemon/health", timeout=5).ok
        return False

    def _pid_file(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "supervisord.pid").read_text().strip()
        return ""

    @contextlib.contextmanager
    def without_supervisord(self) -> Iterator[None]:
        """Keep the API from reaching supervisord: its socket is away, and so are old connections to it.

        A supervisord that is killed takes the API along.
        """
        socket_file, hidden = self.folder / "supervisor.sock", self.folder / "hidden.sock"
        api = psutil.Process(requests.get(f"{self.url}/api/v1/daemon/health", timeout=5).json()["pid"])
        socket_file.rename(hidden)
        try:
            api.parent().kill()
            eventually(lambda: not _is_alive(api))
            eventually(self._is_up, 30)
            yield
        finally:
            hidden.rename(socket_file)

    def kill_supervisord(self) -> None:
        """Kill it, and wait until the parts that it takes along have ended."""
        os.kill(self.supervisord_pid, signal.SIGKILL)
        assert self.process is not None
        self.process.wait(10)

        def is_gone() -> bool:
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{self.url}/api/v1/daemon/health", timeout=5)
                return False
            return True

        eventually(is_gone, 20, "the API has ended")

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the project, or a script."""
        self.make_database()
        if not _IS_MEASURED:
            return scripts.run(self.env, PROJECT, *arguments)
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def processes(self) -> list[psutil.Process]:
        """Everything that the stack's supervisord has started, or what that has started."""
        return list(self.owners())

    def owners(self) -> dict[psutil.Process, Owner]:
        """These processes, with what each belongs to by its mark, or else by its environment."""
        noted = self.folder / "running"
        marked = survivors.find(str(noted)).owners if noted.is_dir() else {}
        owners = {identity.pid: owner for identity, owner in marked.items()}
        url = f"unix://{self.folder}/supervisor.sock"
        found = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid in owners:
                    found[process] = owners[process.pid]
                elif (given := process.environ()).get("SUPERVISOR_SERVER_URL") == url:
                    found[process] = Owner(given["SUPERVISOR_GROUP_NAME"], given["SUPERVISOR_PROCESS_NAME"])
        return found

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM, as an operator or a container would; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def destroy(self) -> None:
        """End all of it. A test that is about how a stack ends has stopped it before."""
        if self.process is not None and self.process.poll() is None:
            if _IS_MEASURED:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.stop(30)
            self._kill_family()
            self.process.kill()
            self.process.wait()
        if self.process is None:
            self._end_interrupted_start()
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if database.POSTGRES:
            database.drop(self.folder)
        reaper.forget(self.folder)

    def _end_interrupted_start(self) -> None:
        """Kill what a start has begun that was interrupted before the process was known."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARKER) == str(self.folder):
                    process.kill()

    def _kill_family(self) -> None:
        """Kill what supervisord has started, and keep it from starting more."""
        assert self.process is not None
        with contextlib.suppress(psutil.Error):
            supervisord = psutil.Process(self.process.pid)
            supervisord.suspend()
            # It gets the orphans as long as it lives, so nothing can leave the family.
            while alive := [each for each in supervisord.children(recursive=True) if _is_alive(each)]:
                for each in alive:
                    with contextlib.suppress(psutil.Error):
                        each.kill()
                time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def copy_of_first_start(folder: Path) -> None:
    """A state folder after the first start, with a key and a token of its own."""
    shutil.copytree(_first_start(), folder)
    for file in folder.glob("programs*.json"):  # with the paths of logs
        file.write_text(file.read_text().replace(str(_first_start()), str(folder)))
    token = "hdt_" + secrets.token_urlsafe(32)
    (folder / "secret-key").write_text(secrets.token_urlsafe(50) + "\n")
    (folder / "api-token").write_text(token + "\n")
    if database.POSTGRES:
        database.drop(folder)  # a command may have made it
        database.create(folder, template=_first_start())
    with database.opened(folder) as copy:
        digest = hashlib.sha256(token.encode()).hexdigest()
        assert copy.execute("UPDATE hoody_site_apitoken SET digest = ?", (digest,)).rowcount == 1


@functools.cache
def _first_start() -> Path:
    """The state folder of a stack that was set up, and never run. It is made once for each process."""
    parent = contextlib.ExitStack()
    atexit.register(parent.close)
    stack = Stack(parent.enter_context(temporary_folder()) / "state")
    code = "import django; django.setup(); from hoody_site.stack import start; start.prepare(print)"
    environment = {**stack.env, "DJANGO_SETTINGS_MODULE": "hoody_site.settings"}
    if database.POSTGRES:
        database.create(stack.folder)
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, env=environment, check=True, timeout=60)
    return stack.folder


@contextlib.contextmanager
def temporary_stack(*, is_set_up: bool = True, **environment: str) -> Iterator[Stack]:
    """A stack that is not started yet, in a folder whose path is short enough for sockets."""
    with temporary_folder() as parent:
        stack = Stack(parent / "state", is_set_up=is_set_up, **environment)
        try:
            yield stack
        finally:
            stack.destroy()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that all users can read; it is removed even if this process is killed."""
    folder = Path(tempfile.gettempdir(), f"daemon-test-{secrets.token_hex(4)}")
    reaper.remember(folder)
    folder.mkdir()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        reaper.forget(folder)
