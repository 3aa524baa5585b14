"""Processes that change the limit which marks them: reported, and ended with the stack at the latest."""

import os
import shutil
import signal
from collections.abc import Callable

import psutil
import pytest

from tests.metrics_client import scrape
from tests.processes import shell
from tests.stack import Stack, eventually

TOKEN = str(600_000_000 + os.getpid())


pytestmark = pytest.mark.skipif(not shutil.which("prlimit"), reason="prlimit is not installed")

# It changes its limit, and its parent ends.
FUGITIVE = shell(f"(setsid prlimit --msgqueue=1000:1000 sleep {TOKEN} &); exec sleep 1000")


@pytest.fixture
def left() -> Callable[[], list[int]]:
    def find() -> list[int]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.cmdline() == ["sleep", TOKEN] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process.pid)
            except psutil.Error:
                continue
        return found

    return find


def test_unclaimed_process_is_reported_and_ends_with_the_stack(
    own_stack: Stack, left: Callable[[], list[int]]
) -> None:
    api = own_stack.start().api
    assert "unclaimed_processes" not in api.get("status").json()
    id = api.add(FUGITIVE)
    api.ok(f"programs/{id}/start")
    shown = eventually(lambda: api.get("status").json().get("unclaimed_processes"))
    [pid] = left()
    assert shown == [{"pid": pid, "command": "sleep"}]
    assert scrape(own_stack).value("daemon_unclaimed_processes") == 1
    assert f"processes that belong to no program: sleep (pid {pid})" in own_stack.manage("reconcile").stdout
    api.ok(f"programs/{id}/stop")
    assert left() == [pid]
    assert own_stack.stop() == 0
    assert left() == []


def test_unclaimed_process_is_ended_before_the_next_start(
    own_stack: Stack, left: Callable[[], list[int]]
) -> None:
    api = own_stack.start().api
    api.ok(f"programs/{(id := api.add(FUGITIVE))}/start")
    eventually(lambda: api.get("status").json().get("unclaimed_processes"))
    os.kill(own_stack.supervisord_pid, signal.SIGKILL)
    assert own_stack.process
    own_stack.process.wait(30)
    assert left()
    own_stack.start()
    assert left() == []
    assert own_stack.api.word(id) == "stopped"
