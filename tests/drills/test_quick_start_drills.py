"""Temporary programs while parts of the stack are killed: afterwards all sources agree."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests import database
from tests.drills import ROUNDS
from tests.processes import shell
from tests.stack import OWN_USER, Stack, eventually, temporary_stack
from tests.temporary_programs import (
    EXPIRED,
    FORKS,
    LOST,
    Quick,
    api_pid,
    created,
    files,
    groups,
    left_of,
    log_folders,
    mirrored,
    own_processes,
    reconcile,
    records,
    running,
    time_written,
    until_gone,
)

LONG = pytest.mark.skipif(ROUNDS < 2, reason="it waits for timeouts: DRILL_ROUNDS=2 or more runs it")
PARTS = ("api", "scheduler", "listener")
LAUNCHES = 50
NOTES_ITS_END = shell("trap 'date +%s.%N > $1; exit 0' TERM; sleep 1000 & wait", "{}")


@pytest.fixture(scope="module")
def fleeting() -> Iterator[Stack]:
    """A stack that keeps records for a short time; each test leaves it running."""
    with temporary_stack(DAEMON_EPHEMERAL_RETENTION="60") as stack:
        yield stack.start()


@pytest.fixture(scope="module", autouse=True)
def forgotten(fleeting: Stack) -> dict[str, Any]:
    """A program that the queue is to purge while the other drills run."""
    return Quick(fleeting).launch("echo one", wait="exit")


# The clock


@pytest.mark.parametrize("part", PARTS)
def test_time_is_kept_while_a_part_is_killed_again_and_again(
    fleeting: Stack, tmp_path: Path, part: str
) -> None:
    quick = Quick(fleeting)
    launched = {quick.run(NOTES_ITS_END.format(tmp_path / str(ttl)), ttl=ttl): ttl for ttl in (1, 2, 5)}
    with killed(fleeting, part):
        for id, ttl in launched.items():
            late = time_written(tmp_path / str(ttl), timeout=ttl + 20) - (created(id) + ttl)
            print(f"{part} killed, ttl {ttl}: told to stop {late * 1000:.0f} ms after its time")
            assert -0.01 < late < 2
        eventually(lambda: not running(fleeting), what="they are gone")
    eventually(lambda: api_pid(fleeting), 60, "the API is back")
    for id in launched:
        answer = quick.status(id)
        assert (answer["status"], answer["last_run"]["error"]) == ("stopped", EXPIRED)
    until_gone(fleeting, timeout=30)


@contextlib.contextmanager
def killed(stack: Stack, part: str) -> Iterator[None]:
    """Kill a part of the stack, and its successors too."""
    over = threading.Event()

    def kill() -> None:
        while not over.wait(0.05):
            for process in own_processes(stack, part):
                with contextlib.suppress(psutil.Error):
                    process.kill()

    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        try:
            yield
        finally:
            over.set()
            killing.result(30)


# The kill drill


@pytest.mark.parametrize("round", range(ROUNDS))
def test_after_any_mixture_of_kills_everything_agrees(round: int, tmp_path: Path) -> None:
    seed = int(os.environ.get("DRILL_SEED", time.time_ns() % 10**6)) + round
    print(f"DRILL_SEED={seed}")
    with temporary_stack() as stack:
        drill = Drill(stack.start(), random.Random(seed), tmp_path / "ran", to_the_end=round % 2 == 0)
        with ThreadPoolExecutor(8) as pool:
            ids = {id for id in pool.map(drill.launch, range(LAUNCHES)) if id}
        print(f"{len(ids)} of {LAUNCHES} launches were answered; supervisord killed: {drill.is_over}")
        if not drill.is_over:
            check_that_all_agrees(stack)
            assert stack.stop() == 0
        stack.start()
        check_that_nothing_is_left(stack, ids)
        runs = (tmp_path / "ran").read_text().split()
        assert len(set(runs)) == len(runs), "something was run twice"


class Drill:
    """Fifty launches, at six of which a process of the stack is killed; supervisord too if ``to_the_end``."""

    def __init__(self, stack: Stack, chance: random.Random, ran: Path, *, to_the_end: bool) -> None:
        self.stack = stack
        self.ran = ran
        self.victims = {number: chance.choice(PARTS) for number in chance.sample(range(LAUNCHES), 6)}
        self.last = chance.randrange(LAUNCHES // 2, LAUNCHES) if to_the_end else None
        self.chance = chance

    @property
    def is_over(self) -> bool:
        assert self.stack.process is not None
        return self.stack.process.poll() is not None

    def launch(self, number: int) -> str | None:
        """Launch until the API answers; return None once the stack has ended."""
        for attempt in range(1000):
            if self.is_over:
                return None
            self.shoot(number, attempt)
            with contextlib.suppress(requests.RequestException):
                response = self.stack.api.post("quick-start", self.body(number, f"{number}.{attempt}"))
                assert response.status_code in (200, 503, 504), response.text
                if id := response.json().get("temporary_id"):
                    return str(id)
            time.sleep(0.2)
        raise AssertionError("the API has not come back")

    def body(self, number: int, label: str) -> dict[str, Any]:
        note = shell("echo $1 >> $2; exec sleep $3", label, str(self.ran), "0" if number % 2 else "1000")
        command = FORKS if number % 10 == 8 else note
        return {
            "command": command,
            "user": OWN_USER,
            "ttl": 600,
            "autorestart": False,
            "wait": number % 3 == 0,
        }

    def shoot(self, number: int, attempt: int) -> None:
        if attempt == 0 and number in self.victims:
            for process in own_processes(self.stack, self.victims[number]):
                if self.chance.random() < 0.7:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
        if number == self.last:
            os.kill(self.stack.supervisord_pid, signal.SIGKILL)


def check_that_all_agrees(stack: Stack) -> None:
    """Check that records, supervisord, configuration, mirror and process table hold the same programs."""
    eventually(lambda: api_pid(stack), 60, "the API is back")
    reconcile(stack)

    def agree() -> bool:
        live = {id for id, record in records(stack).items() if not record["ended_at"]}
        return live == groups(stack) == files(stack) == set(mirrored(stack)) == running(stack)

    eventually(agree, 30, "all sources agree")


def check_that_nothing_is_left(stack: Stack, ids: set[str]) -> None:
    """Check after the next start that every launch is recorded as ended, and that nothing else is left."""
    assert not left_of(stack)
    assert json.loads((stack.folder / "ephemeral.json").read_text()) == {"ephemeral_programs": []}
    assert not [file.name for file in (stack.folder / "conf.d").iterdir() if "quick_" in file.name]
    known = records(stack)
    assert ids <= set(known)
    for record in known.values():
        assert record["ended_at"]
        outcome = record["final_status"], record["exit_code"], record["signal"], record["error"]
        assert outcome in (
            ("exited", 0, "", ""),
            ("stopped", None, "", LOST),
            ("stopped", None, "SIGTERM", LOST),
        )


# Slow tests


@LONG
def test_supervisord_that_reloads_ends_temporary_programs(fleeting: Stack) -> None:
    quick = Quick(fleeting)
    ids = {quick.run(FORKS), quick.run("true", delay_seconds=1000), quick.run("true", autorestart="true")}
    old = api_pid(fleeting)
    os.kill(fleeting.supervisord_pid, signal.SIGHUP)
    eventually(lambda: api_pid(fleeting) not in (None, old), 60, "the API is back")
    for id in ids:
        answer = quick.status(id)
        assert (answer["status"], answer["last_run"]["error"]) == ("stopped", LOST)
    until_gone(fleeting, timeout=30)


@LONG
def test_launch_that_supervisord_does_not_answer_runs_nothing(fleeting: Stack) -> None:
    with Quick(fleeting) as quick:
        before = set(records(fleeting))
        supervisord = psutil.Process(fleeting.supervisord_pid)
        supervisord.suspend()
        try:
            answer = quick.api.post("quick-start", {"command": "sleep 1000", "user": OWN_USER})
        finally:
            supervisord.resume()
        assert answer.status_code == 503
        assert set(records(fleeting)) <= before
        until_gone(fleeting)
        assert quick.launch("true", wait=True)["status"] == "exited"


@LONG
def test_ends_are_found_after_the_database_was_locked_for_long(fleeting: Stack) -> None:
    with Quick(fleeting) as quick:
        ids = [quick.run("sleep 0.2") for _ in range(3)]
        with database.opened(fleeting.folder) as other:
            other.keep_writers_waiting()
            answer = quick.api.post("quick-start", {"command": "sleep 1000", "user": OWN_USER})
            assert answer.status_code == 503
            assert not running(fleeting)
        reconcile(fleeting)
        for id in ids:
            assert quick.record(id)["exit_code"] == 0
        until_gone(fleeting, timeout=30)


# The purge


def test_queue_purges_by_itself(fleeting: Stack, forgotten: dict[str, Any]) -> None:
    id, name = forgotten["temporary_id"], forgotten["name"]
    eventually(lambda: Quick(fleeting).api.get(f"quick-start/{id}/status").status_code == 404, 70)
    eventually(lambda: id not in records(fleeting), 120, "the queue has purged it")
    eventually(lambda: name not in log_folders(fleeting))
