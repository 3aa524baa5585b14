"""``GET ready``: which part of the stack is missing."""

import contextlib
import os
import signal

import psutil
import requests

from tests import database
from tests.stack import Stack, eventually
from tests.temporary_programs import own_processes

ALL = ("supervisord", "database", "listener", "queue", "prober")


def ready(stack: Stack) -> tuple[int, dict[str, object]]:
    answer = stack.client(None).get("ready")
    return answer.status_code, answer.json()


def missing(stack: Stack) -> list[str] | None:
    """The missing parts, in the words of the sentence; None if the API does not answer."""
    with contextlib.suppress(requests.RequestException):
        code, told = ready(stack)
        parts = told["parts"]
        assert isinstance(parts, dict)
        names = [name for name, works in parts.items() if not works]
        assert code == (503 if names else 200)
        if names:
            assert told["error"] == f"Not ready: {', '.join(names)}"
            assert (told["success"], told["code"]) == (False, "not_ready")
        return names
    return None


def part(stack: Stack, name: str) -> psutil.Process | None:
    for process in own_processes(stack, name):
        with contextlib.suppress(psutil.Error):
            if process.ppid() == stack.supervisord_pid:
                return process
    return None


def test_whole_stack_is_ready_for_all_to_see(own_stack: Stack) -> None:
    stack = own_stack.start()
    expected = {"success": True, "status": "ready", "parts": dict.fromkeys(ALL, True)}
    eventually(lambda: ready(stack) == (200, expected), 30)
    check_that_a_crash_loop_is_told(stack)
    if not database.POSTGRES:
        check_that_a_lost_database_is_told(stack)
    os.kill(stack.supervisord_pid, signal.SIGSTOP)
    try:
        eventually(lambda: missing(stack) == ["supervisord", "listener", "queue", "prober"], 30)
    finally:
        os.kill(stack.supervisord_pid, signal.SIGCONT)


def check_that_a_crash_loop_is_told(stack: Stack) -> None:
    """It runs for more than a second each time, which is enough for supervisord to call it running."""
    for name, told in (("listener", "listener"), ("scheduler", "queue"), ("prober", "prober")):
        for _ in range(2):
            victim = eventually(lambda name=name: part(stack, name), 20)
            victim.kill()
            eventually(lambda told=told: missing(stack) == [told], 20)
            scraped = stack.api.session.get(f"{stack.url}/metrics", timeout=30).text
            assert f'daemon_component_up{{component="{name}"}} 0.0' in scraped
        eventually(lambda: missing(stack) == [], 40)


def check_that_a_lost_database_is_told(stack: Stack) -> None:
    for file in stack.folder.glob("db.sqlite3*"):
        file.rename(file.with_name("away-" + file.name))
    (stack.folder / "db.sqlite3").write_bytes(b"no database" * 1000)
    try:
        os.kill(int(stack.client(None).get("health").json()["pid"]), signal.SIGKILL)  # it holds the old file
        eventually(lambda: "database" in (missing(stack) or []), 60)
    finally:
        (stack.folder / "db.sqlite3").unlink()
        for file in stack.folder.glob("away-db.sqlite3*"):
            file.rename(file.with_name(file.name.removeprefix("away-")))
    eventually(lambda: missing(stack) == [], 60)
