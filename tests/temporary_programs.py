"""Launch and inspect temporary programs, and what is left after their end."""

import contextlib
import fcntl
import json
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import requests

from daemon_programs.exceptions import SupervisorUnavailable
from daemon_programs.supervisor.client import Supervisor
from tests import database
from tests.processes import carriers, is_alive, shell
from tests.stack import OWN_USER, Stack, eventually

LOST = "daemon restarted before the program finished"
EXPIRED = "stopped at the end of its time to live"

# It starts children in its own session and in sessions of their own, some of them orphans.
FORKS = shell(
    "sleep 1001 & setsid sleep 1002 & (setsid sh -c 'sleep 1003 & sleep 1004; true' &); (sleep 1005 &); "
    "exec sleep 1006"
)
STUBBORN = shell("trap '' TERM; echo ready; while :; do sleep 1; done")


class Quick:
    """A client of a stack's quick start, which stops what it has launched at the end."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.api = stack.api
        self.ids: list[str] = []

    def __enter__(self) -> "Quick":
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None or api_pid(self.stack):
            for id in self.ids:
                self.api.post(f"quick-start/{id}/stop")

    def launch(self, command: str = "sleep 1000", **fields: Any) -> dict[str, Any]:
        """Launch successfully, and return the response."""
        fields.setdefault("user", OWN_USER)
        answer = self.api.ok("quick-start", {"command": command, **fields})
        self.ids.append(answer["temporary_id"])
        return answer

    def run(self, command: str = "sleep 1000", **fields: Any) -> str:
        """Launch, and return the id."""
        return str(self.launch(command, **fields)["temporary_id"])

    def status(self, id: str) -> dict[str, Any]:
        response = self.api.get(f"quick-start/{id}/status")
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    def until(self, id: str, *words: str, timeout: float = 15) -> dict[str, Any]:
        """Wait for a status; the answer that has it."""
        return eventually(
            lambda: (answer := self.status(id))["status"] in words and answer, timeout, f"{id} is {words}"
        )

    def ended(self, id: str, timeout: float = 15) -> dict[str, Any]:
        """Wait for its end without a status query, which would complete the record; return the status."""
        eventually(lambda: self.record(id)["ended_at"], timeout, f"{id} has ended")
        return self.status(id)

    def pid(self, id: str) -> int:
        """Wait until its own process is there, past the fork."""
        eventually(lambda: tree(self.stack, id), what=f"{id} has a process")
        return int(eventually(lambda: self.status(id).get("pid")))

    def stop(self, id: str) -> dict[str, Any]:
        return self.api.ok(f"quick-start/{id}/stop")

    def logs(self, id: str, **query: Any) -> str:
        response = self.api.get(f"quick-start/{id}/logs", **query)
        assert response.status_code == 200, response.text
        return response.json()["logs"]  # type: ignore[no-any-return]

    def listed(self) -> dict[str, dict[str, Any]]:
        """The list, by id."""
        answer = self.api.get("quick-start").json()
        assert answer["success"] is True
        assert answer["count"] == len(answer["ephemeral_programs"])
        return {each["temporary_id"]: each for each in answer["ephemeral_programs"]}

    def record(self, id: str) -> dict[str, Any]:
        return records(self.stack)[id]

    def is_cleaned_up(self, id: str) -> bool:
        """Return whether process tree, configuration, mirror and list have no trace of it."""
        return id not in left_of(self.stack) and id not in self.listed()


def tree(stack: Stack, id: str) -> list[psutil.Process]:
    """Return the living processes of a temporary program, orphans included."""
    return list(carriers(stack, id))


def forked(stack: Stack, id: str) -> bool:
    """Whether all of ``FORKS`` is there."""
    lines = set()
    for process in tree(stack, id):
        with contextlib.suppress(psutil.Error):
            lines.add(" ".join(process.cmdline()))
    return lines >= {f"sleep {number}" for number in range(1001, 1007)}


def created(id: str) -> float:
    """Return the time of its creation to the microsecond, from its id."""
    return int(id.removeprefix("quick_")) / 1e6


def mirrored(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return the objects of ``ephemeral.json`` by id."""
    content = json.loads((stack.folder / "ephemeral.json").read_text())
    assert list(content) == ["ephemeral_programs"]
    return {each["temporary_id"]: each for each in content["ephemeral_programs"]}


def records(stack: Stack) -> dict[str, dict[str, Any]]:
    """The rows of the database, by id."""
    with database.opened(stack.folder) as opened:
        rows = opened.rows("SELECT * FROM quick_start_ephemeralprogram")
    return {row["temporary_id"]: row for row in rows}


def groups(stack: Stack) -> set[str]:
    """The temporary programs that supervisord has."""
    states = Supervisor(stack.folder / "supervisor.sock").states()["programs"]
    return {group for group in states if group.startswith("quick_")}


def files(stack: Stack) -> set[str]:
    """Return the ids with files in the configuration folder, partial ones included."""
    return {file.name.lstrip(".").split(".")[0] for file in (stack.folder / "conf.d").glob("*quick_*")}


def log_folders(stack: Stack) -> set[str]:
    return {folder.name for folder in (stack.folder / "logs").iterdir()}


def running(stack: Stack) -> set[str]:
    """The ids of the temporary programs that have processes."""
    owners = {owner for process, owner in stack.owners().items() if is_alive(process)}
    return {owner.group for owner in owners if owner.group.startswith("quick_")}


def left_of(stack: Stack) -> set[str]:
    """Return the ids of which more than a record is left."""
    known = set()
    with contextlib.suppress(SupervisorUnavailable):
        known = groups(stack)
    return known | files(stack) | running(stack) | set(mirrored(stack))


def until_gone(stack: Stack, ids: Collection[str] | None = None, timeout: float = 20) -> None:
    """Wait until nothing but records is left of these temporary programs, or of all."""
    wanted = None if ids is None else set(ids)
    try:
        eventually(lambda: not (left_of(stack) if wanted is None else left_of(stack) & wanted), timeout)
    except AssertionError:
        places = {look.__name__: sorted(look(stack)) for look in (groups, files, running, mirrored)}
        raise AssertionError(f"left after {timeout} s: {places}") from None


def api_pid(stack: Stack) -> int | None:
    """Return the process that answers requests, or None."""
    with contextlib.suppress(requests.RequestException):
        return int(stack.client(None).get("health").json()["pid"])
    return None


def own_processes(stack: Stack, *names: str) -> list[psutil.Process]:
    """The processes of ``api``, ``scheduler`` or ``listener``, those that they have started included."""
    return [process for process, owner in stack.owners().items() if owner.group in names]


@contextlib.contextmanager
def suspended(stack: Stack, *names: str) -> Iterator[None]:
    """Suspend some of the stack's own processes while they hold no locks."""
    processes = own_processes(stack, *names)
    assert len(processes) >= len(names)
    eventually(lambda: _stand_still(stack, processes), what="they hold neither the database nor a mirror")
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def _stand_still(stack: Stack, processes: list[psutil.Process]) -> bool:
    for process in processes:
        process.suspend()
    if _is_free(stack):
        return True
    for process in processes:
        process.resume()
    return False


def _is_free(stack: Stack) -> bool:
    """Return whether the database and the mirrors are unlocked."""
    try:
        with database.opened(stack.folder, timeout=0.1) as other:
            other.keep_writers_waiting()
            for lock in stack.folder.glob(".*.json.lock"):
                with lock.open() as held:
                    fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (*database.OperationalError, BlockingIOError):
        return False
    return True


def timestamp(iso: str) -> float:
    """Return a time of a response, which has whole seconds and a ``Z``, as a timestamp."""
    return datetime.strptime(iso, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def purge(stack: Stack) -> int:
    """Purge as the queue does once a minute, and return the number of records."""
    code = "from quick_start.tasks import *; print(purge_temporary_programs())"
    done = stack.manage("shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def reconcile(stack: Stack) -> str:
    """Reconcile as the queue does once a minute, and return the differences."""
    code = "from quick_start.tasks import *; print(*reconcile_temporary_programs(), sep='\\n')"
    done = stack.manage("shell", "--no-imports", "-c", code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def time_written(file: Path, timeout: float = 10) -> float:
    """Return the time that a program has written to a file."""

    def noted() -> float | None:
        with contextlib.suppress(OSError, ValueError):
            return float(file.read_text())
        return None

    return float(eventually(noted, timeout, f"{file} is written"))
