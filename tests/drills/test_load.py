"""Many clients at once, much output, many programs: no errors, and afterwards everything agrees.

``DRILL_SECONDS`` says for how long clients hammer. The long run (``DRILL_ROUNDS=2`` or more) has them do so
for a minute, and a thousand programs.
"""

import contextlib
import json
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.drills import ROUNDS, SEED
from tests.drills.clients import Client, Tally
from tests.drills.consistency import agree, complaints, explained
from tests.stack import OWN_USER, Api, Stack, temporary_stack

SECONDS = float(os.environ.get("DRILL_SECONDS", "4" if ROUNDS < 2 else "60"))
CLIENTS = 16
WAITS = 32  # half of the threads: all that may wait
PROGRAMS = 100 if ROUNDS < 2 else 1000
SHARED = range(1, 6)
# It prints as fast as it can, so that its log is rotated all the time.
CHATTER = {"command": "yes 'a line of a program that prints as fast as it can'", "log_max_bytes": 256 * 1024}
HELD_UP = {"delay_seconds": 3600}


@pytest.fixture(scope="module")
def busy() -> Iterator[Stack]:
    with temporary_stack() as stack:
        yield stack.start()
        assert stack.stop() == 0, stack.output.read_text()[-2000:]
        assert stack.processes() == [], "something of the stack is left behind"


@pytest.fixture(autouse=True)
def emptied(busy: Stack) -> Iterator[None]:
    """Each test begins and ends with no programs at all."""
    exchange_all(busy, [])
    yield
    exchange_all(busy, [])
    with explained(busy):
        agree(busy)


def program(id: int, **fields: Any) -> dict[str, Any]:
    return {"id": id, "name": f"program {id}", "command": "sleep 1000", "user": OWN_USER, **fields}


def exchange_all(stack: Stack, documents: list[dict[str, Any]]) -> None:
    file = stack.folder / "set.json"
    file.write_text(json.dumps(documents))
    done = stack.manage("import_programs", str(file))
    assert done.returncode == 0, done.stderr


# Sixteen clients


def test_clients_that_change_everything_at_once_get_no_errors_and_all_agrees(busy: Stack) -> None:
    print(f"DRILL_SEED={SEED}")
    tally = Tally()
    over = threading.Event()
    hammers = [Hammer(Client(busy, tally), number) for number in range(CLIENTS)]
    ids = set(SHARED).union(*(hammer.own for hammer in hammers))
    exchange_all(busy, [program(id) for id in ids])
    with explained(busy), chatter(busy.api, 1), ThreadPoolExecutor(CLIENTS) as pool:
        hammering = [pool.submit(hammer.until, over) for hammer in hammers]
        over.wait(SECONDS)
        over.set()
        for each in hammering:
            each.result(120)
    print(f"{CLIENTS} clients, {SECONDS:.0f} s: {tally}")
    agree(busy)
    assert busy.manage("reconcile").stdout.strip() == "No differences found."
    assert complaints(busy) == []
    check_that_each_change_was_useful(tally)


def check_that_each_change_was_useful(tally: Tally) -> None:
    """Check that each operation succeeded at least once: otherwise the drill did not test it."""
    operations = {operation for operation, _ in tally.counts}
    assert {operation for operation in operations if tally.counts[operation, 200]} == operations


class Hammer:
    """A client that does random operations, half of them on programs that all clients share."""

    def __init__(self, client: Client, number: int) -> None:
        self.client = client
        self.chance = random.Random(f"{SEED} {number}")
        self.own = [101 + 2 * number, 102 + 2 * number]
        self.launches: list[str] = []
        self.things = [
            *[self.add] * 3,
            *[self.edit] * 3,
            *[self.start] * 3,
            *[self.stop] * 2,
            *[self.restart] * 2,
            *[self.enable] * 2,
            self.disable,
            self.remove,
            *[self.launch] * 2,
            self.end_launch,
            self.look,
        ]

    def until(self, over: threading.Event) -> None:
        while not over.is_set():
            self.chance.choice(self.things)()
        for id in self.launches:
            assert self.answered("stopEphemeralProgram", f"quick-start/{id}/stop")

    def answered(self, operation: str, route: str, body: Any = None) -> dict[str, Any] | None:
        """Return the response of a success, or None for a refusal; fail for all else."""
        response = self.client.post(operation, route, body)
        assert response.status_code in (200, 400, 404), f"{operation}: {response.text}"
        return response.json() if response.status_code == 200 else None

    @property
    def id(self) -> int:
        return self.chance.choice(self.chance.choice([SHARED, self.own]))

    def add(self) -> None:
        command = self.chance.choice(["sleep 1000", "true", "false"])
        fields = program(self.id, command=command, boot=self.chance.random() < 0.5)
        self.answered("addProgram", "programs/add", fields)

    def edit(self) -> None:
        value = str(self.chance.random())
        fields = self.chance.choice([{"description": value}, {"environment": {"A": value}}, {"boot": True}])
        self.answered("editProgram", f"programs/edit/{self.id}", fields)

    def start(self) -> None:
        body = {"wait": self.chance.random() < 0.2, "if_not_running": self.chance.random() < 0.5}
        self.answered("startProgram", f"programs/{self.id}/start", body)

    def stop(self) -> None:
        self.answered("stopProgram", f"programs/{self.id}/stop")

    def restart(self) -> None:
        self.answered("restartProgram", f"programs/{self.id}/restart")

    def enable(self) -> None:
        self.answered("enableProgram", f"programs/{self.id}/enable")

    def disable(self) -> None:
        self.answered("disableProgram", f"programs/{self.id}/disable")

    def remove(self) -> None:
        self.answered("removeProgram", f"programs/remove/{self.id}")

    def launch(self) -> None:
        command = self.chance.choice(["sleep 1000", "true", "false"])
        answer = self.answered(
            "quickStart", "quick-start", {"command": command, "user": OWN_USER, "ttl": 600}
        )
        assert answer, "a launch has nothing that it could be refused for"
        self.launches.append(answer["temporary_id"])

    def end_launch(self) -> None:
        if self.launches:
            id = self.launches.pop(self.chance.randrange(len(self.launches)))
            assert self.answered("stopEphemeralProgram", f"quick-start/{id}/stop")

    def look(self) -> None:
        for operation, route in (
            ("listPrograms", "programs?include_stats=true"),
            ("listStatuses", "status"),
            ("listEphemeralPrograms", "quick-start"),
        ):
            response = self.client.get(operation, route)
            assert response.status_code == 200, response.text


# Latency


@contextlib.contextmanager
def chatter(api: Api, programs: int) -> Iterator[None]:
    """Programs that print as fast as they can."""
    ids = [api.add(**CHATTER, id=10_000 + number, boot=True) for number in range(programs)]
    try:
        yield
    finally:
        for id in ids:
            api.ok(f"programs/remove/{id}")


@contextlib.contextmanager
def waiting(stack: Stack, ids: list[int]) -> Iterator[None]:
    """Let as many requests wait as may, and check that all are answered in the end."""
    body = {"wait": True, "timeout": 300}
    with ThreadPoolExecutor(len(ids)) as pool:
        waits = [pool.submit(stack.api.post, f"programs/{id}/start", body) for id in ids]
        for id in ids:
            stack.api.until(id, "starting")
        try:
            yield
            assert not any(wait.done() for wait in waits)
        finally:
            for id in ids:
                stack.api.ok(f"programs/{id}/stop")
        for wait in waits:
            assert "was stopped while it was starting" in wait.result().json()["error"]


def median_latency(ask: Callable[[], Any]) -> float:
    """Return the median of fifty requests in sequence."""

    def measure() -> float:
        started_at = time.perf_counter()
        ask()
        return time.perf_counter() - started_at

    return statistics.median(measure() for _ in range(50))


def test_health_is_answered_at_once_whatever_the_others_do(busy: Stack, tmp_path: Path) -> None:
    """Many programs, some that flood their logs, and as many waits as there is room for."""
    api = busy.api
    client = busy.client(None)
    idle = median_latency(lambda: client.get("health"))
    started_at = time.perf_counter()
    exchange_all(busy, [program(id, **HELD_UP) for id in range(1, PROGRAMS + 1)])
    print(f"{PROGRAMS} programs imported in {time.perf_counter() - started_at:.1f} s")
    with chatter(api, 2), waiting(busy, list(range(1, WAITS + 1))):
        health = median_latency(lambda: client.get("health"))
        status = median_latency(lambda: api.get(f"status/{PROGRAMS}"))
        whole = median_latency(lambda: api.get("status"))
        print(
            f"health: {idle * 1000:.1f} ms idle, {health * 1000:.1f} ms loaded; loaded, one status "
            f"{status * 1000:.1f} ms, the statuses of all {whole * 1000:.1f} ms"
        )
        assert health < 20 * idle
        agree(busy)
    assert complaints(busy) == []
