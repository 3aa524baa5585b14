"""The guard and the watchdog of the queue: it is restarted if it hangs, or finishes nothing for too long."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from daemon_programs.supervisor.client import Supervisor
from hoody_site.stack.watchdog import QUEUE, STALLED_AFTER_SECONDS, Watchdog
from tests.drills import ROUNDS
from tests.drills.test_kills import check_that_the_queue_works
from tests.stack import PROJECT, Stack, copy_of_first_start, eventually, temporary_stack
from tests.temporary_programs import own_processes


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Revived:
    times = 0

    def __call__(self) -> None:
        self.times += 1


def test_queue_is_revived_when_it_has_made_no_progress_for_too_long() -> None:
    clock, revived, progress = Clock(), Revived(), [1]
    watchdog = Watchdog(lambda: progress[0], revived, clock)
    for _ in range(20):
        clock.now += STALLED_AFTER_SECONDS / 2
        progress[0] += 1
        watchdog.check()
    assert revived.times == 0
    clock.now += STALLED_AFTER_SECONDS - 1
    watchdog.check()
    assert revived.times == 0
    clock.now += 1
    watchdog.check()
    assert revived.times == 1
    clock.now += STALLED_AFTER_SECONDS - 1
    watchdog.check()
    assert revived.times == 1, "it has time to come back"
    clock.now += 1
    watchdog.check()
    assert revived.times == 2


def test_queue_that_never_starts_is_revived_too() -> None:
    clock, revived = Clock(), Revived()
    watchdog = Watchdog(lambda: None, revived, clock)
    clock.now += STALLED_AFTER_SECONDS
    watchdog.check()
    assert revived.times == 1


@pytest.fixture(scope="module")
def other() -> Iterator[Stack]:
    with temporary_stack() as stack:
        yield stack.start()


def whole_queue(stack: Stack) -> list[psutil.Process]:
    return eventually(lambda: own_processes(stack, QUEUE), 60)  # type: ignore[no-any-return]


def check_replaced(stack: Stack, old: list[psutil.Process], timeout: float = 60) -> None:
    eventually(lambda: not any(process.is_running() for process in old), timeout)
    assert not set(whole_queue(stack)) & set(old)


def test_queue_is_one_process(other: Stack) -> None:
    [queue] = whole_queue(other)
    assert queue.ppid() == other.supervisord_pid
    assert queue.children() == []


def test_revived_queue_is_a_new_one(other: Stack) -> None:
    """A suspended queue is restarted too, although it can't end by SIGTERM."""
    old = whole_queue(other)
    for process in old:
        process.suspend()
    Supervisor(other.folder / "supervisor.sock").revive(QUEUE)
    check_replaced(other, old)


def test_queue_that_does_not_run_is_started(other: Stack) -> None:
    old = whole_queue(other)
    supervisor = Supervisor(other.folder / "supervisor.sock")
    supervisor._ask(lambda proxy: proxy.supervisor.stopProcess(QUEUE))
    supervisor.revive(QUEUE)
    check_replaced(other, old)


def test_worker_that_has_ended_is_replaced(other: Stack) -> None:
    """A task that ends its thread isn't recorded, so there is nothing to wait for."""
    old = whole_queue(other)
    end_workers = "from django_q.tasks import async_task\nfor each in range(3): async_task('sys.exit')"
    assert other.manage("shell", "--no-imports", "-c", end_workers).returncode == 0
    check_that_the_queue_works(other)
    assert whole_queue(other) == old


# A queue whose tasks may take a second, and one that takes longer.
HANG = """
import django
django.setup()
from django_q.conf import Conf
from django_q.tasks import async_task
from daemon_programs.management.commands import run_queue
Conf.TIMEOUT = 1
async_task("time.sleep", 1000)
run_queue.Guard()
"""


def test_queue_with_a_task_that_hangs_is_killed() -> None:
    with temporary_stack() as stack:
        copy_of_first_start(stack.folder)
        environment = {**stack.env, "DJANGO_SETTINGS_MODULE": "hoody_site.settings"}
        command = [sys.executable, "-c", HANG]
        queue = subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60
        )
    assert queue.returncode == -signal.SIGKILL
    assert "A task takes too long: the queue is restarted" in queue.stderr


@pytest.mark.skipif(ROUNDS < 2, reason="it takes some minutes: DRILL_ROUNDS=2 or more runs it")
@pytest.mark.parametrize("how", ["killed", "suspended"])
def test_stalled_queue_is_noticed_and_started_again(other: Stack, how: str) -> None:
    old = whole_queue(other)
    started_at = time.monotonic()
    for process in old:
        process.suspend() if how == "suspended" else process.kill()
    check_replaced(other, old, STALLED_AFTER_SECONDS + 120)
    print(f"queue {how}: replaced after {time.monotonic() - started_at:.0f} seconds")
