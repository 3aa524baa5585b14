"""The queue's watchdog: a queue that has finished nothing for too long is restarted."""

import time
from collections.abc import Iterator

import psutil
import pytest

from daemon_programs.supervisor.client import Supervisor
from hoody_site.stack.watchdog import QUEUE, STALLED_AFTER_SECONDS, Watchdog
from tests.drills import ROUNDS
from tests.stack import Stack, eventually, temporary_stack
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
    return eventually(lambda: len(found := own_processes(stack, QUEUE)) >= 6 and found, 60)  # type: ignore[no-any-return]


def check_replaced(stack: Stack, old: list[psutil.Process], timeout: float = 60) -> None:
    eventually(lambda: not any(process.is_running() for process in old), timeout)
    assert not set(whole_queue(stack)) & set(old)


@pytest.mark.parametrize("stopped", ["all of it", "its main process", "a worker"])
def test_revived_queue_is_a_new_one(other: Stack, stopped: str) -> None:
    """A suspended queue is restarted too, although it can't end by SIGTERM."""
    old = whole_queue(other)
    main = [process for process in old if process.ppid() == other.supervisord_pid]
    victims = {"all of it": old, "its main process": main, "a worker": old[-1:]}[stopped]
    for process in victims:
        process.suspend()
    Supervisor(other.folder / "supervisor.sock").revive(QUEUE)
    check_replaced(other, old)


def test_queue_that_does_not_run_is_started(other: Stack) -> None:
    old = whole_queue(other)
    supervisor = Supervisor(other.folder / "supervisor.sock")
    supervisor._ask(lambda proxy: proxy.supervisor.stopProcess(QUEUE))
    supervisor.revive(QUEUE)
    check_replaced(other, old)


@pytest.mark.skipif(ROUNDS < 2, reason="it takes some minutes: DRILL_ROUNDS=2 or more runs it")
@pytest.mark.parametrize("how", ["killed", "suspended"])
def test_stalled_queue_is_noticed_and_started_again(other: Stack, how: str) -> None:
    old = whole_queue(other)
    started_at = time.monotonic()
    for process in old:
        if how == "suspended":
            process.suspend()
        elif not process.children() and process.ppid() != other.supervisord_pid:
            process.kill()  # idle: it takes the lock of the queue that it waits on with it
    check_replaced(other, old, STALLED_AFTER_SECONDS + 120)
    print(f"queue {how}: replaced after {time.monotonic() - started_at:.0f} seconds")
