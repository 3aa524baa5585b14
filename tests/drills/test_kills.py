"""Random kills under load: nothing lost, nothing twice, nothing left behind.

In each round clients change programs while a process of the stack is killed, asked to end, or suspended and
resumed. Each client knows what was confirmed for its own programs: a change that was answered with 200 is
there, and one that was refused or not answered is there completely or not at all. After each round all
sources agree.

``DRILL_ROUNDS`` is the number of rounds, ``DRILL_SEED`` repeats a run's choices.
"""

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.drills import ROUNDS, SEED
from tests.drills.clients import Client, Tally
from tests.drills.consistency import agree, complaints, events, explained, marked, rows, settle, unfinished
from tests.processes import environment, shell
from tests.stack import OWN_USER, Stack, eventually, temporary_stack
from tests.temporary_programs import api_pid

SHOTS = 3 if ROUNDS < 2 else ROUNDS
LONGEST_PAUSE = 1 if ROUNDS < 2 else 8  # a call of the API to supervisord waits for 5 seconds
CLIENTS = 8
TWICE = 99  # what a program exits with that finds itself running already
VICTIMS = (
    "supervisord",
    "api main",
    "api worker",
    "scheduler",
    "listener",
    "prober",
    "program",
    "launch",
)
BOTH = frozenset({True, False})

RECONCILE = (
    "from daemon_programs.tasks import *; from quick_start.tasks import *; "
    "reconcile_programs(); reconcile_temporary_programs()"
)
# A task whose worker is killed is repeated only after minutes, so it is queued more than once.
DO_A_TASK = """
from django_q.tasks import async_task, result
print(next(filter(None, (result(async_task('math.sqrt', 1764), 10_000) for attempt in range(4))), None))
"""


def test_random_kills_lose_nothing_run_nothing_twice_and_leave_nothing_behind(tmp_path: Path) -> None:
    print(f"DRILL_SEED={SEED}")
    with temporary_stack(DAEMON_EPHEMERAL_RETENTION=str(24 * 3600)) as stack:
        drill = Drill(stack.start(), tmp_path)
        with explained(stack):
            for _ in range(SHOTS):
                drill.go_one_round()
            print(f"{len(drill.shots)} shots: {Counter(drill.shots)}\n{drill.tally}")
            check_that_the_queue_works(stack)
            drill.end_supervisord("term")
            agree(stack)
        assert stack.stop() == 0
        assert stack.processes() == [], "something of the stack is left behind"
        assert complaints(stack, "database is locked|could not be (looked after|dealt with)") == []


def test_queue_goes_on_after_it_was_killed() -> None:
    """Its idle workers hold locks while they wait; none may stay locked."""
    with temporary_stack() as stack, explained(stack.start()):
        check_that_the_queue_works(stack)
        [queue] = marked(stack)["scheduler", "scheduler"]
        queue.kill()
        eventually(lambda: not queue.is_running(), what="it is replaced")
        check_that_the_queue_works(stack)


def check_that_the_queue_works(stack: Stack) -> None:
    done = stack.manage("shell", "--no-imports", "-c", DO_A_TASK)
    assert done.stdout.strip() == "42.0", done.stderr


class Drill:
    """A stack with its clients, and the kills."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.chance = random.Random(SEED)
        self.tally = Tally()
        self.shots: list[str] = []
        # When supervisord was last killed, and was up again. Earlier states don't count.
        self.down_at = self.up_at = 0.0
        self.owners = [Owner(self, number) for number in range(CLIENTS)]

    @property
    def ran(self) -> Path:
        """Where each launch leaves its label."""
        return self.folder / "ran"

    def go_one_round(self) -> None:
        over = threading.Event()
        with ThreadPoolExecutor(CLIENTS) as pool:
            going = [pool.submit(owner.until, over) for owner in self.owners]
            try:
                self.linger(1)
                self.shoot()
                self.linger(1)
            finally:
                over.set()
            for each in going:
                each.result(120)
        self.check()

    def linger(self, most: float) -> None:
        time.sleep(self.chance.uniform(0.1, most))

    # The kills

    def shoot(self) -> None:
        name = self.chance.choice(VICTIMS)
        way = self.chance.choice(["kill", "pause", "kill" if name in ("program", "launch") else "term"])
        there = eventually(lambda: self.victims().get(name), 60, f"there is a {name}")
        process = self.chance.choice(sorted(there, key=lambda each: each.pid))
        print(f"round {len(self.shots) + 1}: {way} {name} {process.pid}", flush=True)
        self.shots.append(f"{way} {name}")
        with contextlib.suppress(psutil.NoSuchProcess):
            if way == "pause":
                self.pause(process)
            elif name == "supervisord":
                self.end_supervisord(way)
            else:
                process.send_signal(signal.SIGKILL if way == "kill" else signal.SIGTERM)

    def victims(self) -> dict[str, list[psutil.Process]]:
        """Return the living targets by kind."""
        found = {"supervisord": [psutil.Process(self.stack.supervisord_pid)]}
        for (group, _), processes in marked(self.stack).items():
            for process in processes:
                kind = group.partition("-")[0].partition("_")[0].replace("quick", "launch")
                if kind == "api":
                    is_first = process.ppid() == self.stack.supervisord_pid
                    kind += " main" if is_first else " worker"
                found.setdefault(kind, []).append(process)
        return found

    def pause(self, process: psutil.Process) -> None:
        process.suspend()
        try:
            self.linger(LONGEST_PAUSE)
        finally:
            process.resume()

    def end_supervisord(self, way: str) -> None:
        """Kill supervisord, then start the stack again, as a container's init would."""
        assert self.stack.process
        self.down_at, self.up_at = time.monotonic(), float("inf")
        if way == "kill":
            self.stack.process.kill()
            self.stack.process.wait()
            self.linger(1)
        else:
            assert self.stack.stop() == 0
            assert self.stack.processes() == []
        self.stack.start()
        self.up_at = time.monotonic()
        # Clients go on, so that a file may be being written.
        eventually(lambda: not unfinished(self.stack), what="no file is left unfinished")

    # The checks

    def check(self) -> None:
        eventually(lambda: api_pid(self.stack), 60, "the API is back")
        # As the queue does once a minute.
        done = self.stack.manage("shell", "--no-imports", "-c", RECONCILE)
        assert done.returncode == 0, done.stderr
        agree(self.stack, 60)
        settle(self.broken_promises, 30)
        for owner in self.owners:
            owner.take_as_it_is()
        self.check_that_nothing_ran_twice()
        if "scheduler" in self.shots[-1]:
            check_that_the_queue_works(self.stack)

    def broken_promises(self) -> list[str]:
        kept = {
            row["id"]: row for row in self.stack.api.get("programs?include_status=true").json()["programs"]
        }
        promised = {id for owner in self.owners for id in owner.promises}
        unknown = [f"{id} was never added" for id in kept if id >= FIRST_ID and id not in promised]
        return unknown + [problem for owner in self.owners for problem in owner.broken_promises(kept)]

    def check_that_nothing_ran_twice(self) -> None:
        for (group, _), history in events(self.stack).items():
            assert not [event for event in history if event["exit_code"] == TWICE], f"{group} ran twice"
        labels = self.ran.read_text().split() if self.ran.exists() else []
        assert len(set(labels)) == len(labels), "a launch was run twice"


FIRST_ID = 100


@dataclass(frozen=True)
class Kept:
    """A program as it was sent. The generation stands in two fields: one alone would be half a change."""

    generation: str
    enabled: bool
    boot: bool

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Kept":
        """Return a program as stored; half a change gives a generation that was never sent."""
        generation = document["environment"]["GENERATION"]
        whole = generation == document["description"]
        return cls(generation if whole else "half", document["enabled"], document["boot"])


@dataclass(frozen=True)
class Promise:
    """What may be true of a program after a response, or without one."""

    kept: frozenset[Kept | None]  # None: there is no such program
    runs: frozenset[bool]
    asked_at: float
    answered_at: float


class Owner:
    """One client, its programs and its launches."""

    def __init__(self, drill: Drill, number: int) -> None:
        self.drill = drill
        self.chance = random.Random(f"{SEED} {number}")
        self.client = Client(drill.stack, drill.tally)
        now = time.monotonic()
        nothing = Promise(frozenset({None}), frozenset({False}), now, now)
        self.promises = {FIRST_ID + 2 * number + each: nothing for each in (0, 1)}
        self.launched: list[str] = []
        self.live: list[str] = []
        self.count = 0

    def until(self, over: threading.Event) -> None:
        while not over.is_set():
            try:
                self.chance.choice([self.change, self.change, self.change, self.launch, self.end_launch])()
            except requests.RequestException:
                over.wait(0.1)  # the API is away

    def next_label(self) -> str:
        self.count += 1
        return f"{min(self.promises)}.{self.count}"

    # Its programs

    def change(self) -> None:
        id = self.chance.choice(sorted(self.promises))
        if len(self.promises[id].kept) > 1:
            self.look(id)
            return
        (kept,) = self.promises[id].kept
        if kept is None:
            verbs = [self.add]
        elif kept.enabled:
            verbs = [self.edit, self.edit, self.start, self.start, self.stop, self.restart]
            verbs += [self.disable, self.remove]
        else:
            verbs = [self.edit, self.enable, self.enable, self.remove]
        self.chance.choice(verbs)(id, kept)

    def look(self, id: int) -> None:
        """Check that an unconfirmed change was made or not made, and record which."""
        response = self.client.get("getProgram", f"programs/{id}")
        if response.status_code == 503:
            return
        kept = Kept.of(response.json()["program"]) if response.status_code == 200 else None
        promise = self.promises[id]
        assert kept in promise.kept, f"{id} is {kept}, which is none of {promise.kept}"
        self.promises[id] = Promise(frozenset({kept}), promise.runs, promise.asked_at, promise.answered_at)

    def ask(
        self, id: int, operation: str, route: str, body: Any, after: Kept | None, runs: frozenset[bool]
    ) -> None:
        """Request a change, and record what is confirmed."""
        before = self.promises[id]
        asked_at = time.monotonic()
        either = Promise(before.kept | {after}, self.may_run(before) | runs, asked_at, float("inf"))
        self.promises[id] = either
        response = self.client.post(operation, route, body)
        answered_at = time.monotonic()
        if response.status_code == 200:
            self.promises[id] = Promise(frozenset({after}), runs, asked_at, answered_at)
        else:
            assert response.status_code in (503, 504), f"{operation} {id}, {before}: {response.text}"
            self.promises[id] = Promise(either.kept, either.runs, asked_at, answered_at)

    def may_run(self, promise: Promise) -> frozenset[bool]:
        """Return whether it runs by now: a restarted supervisord starts programs with `boot`."""
        if promise.answered_at < self.drill.down_at:
            return frozenset(kept is not None and kept.enabled and kept.boot for kept in promise.kept)
        return promise.runs if promise.asked_at > self.drill.up_at else BOTH

    def add(self, id: int, kept: None) -> None:
        new = Kept(self.next_label(), enabled=True, boot=self.chance.random() < 0.5)
        lock = self.drill.folder / f"lock-{id}"
        body = {
            "id": id,
            "name": f"program {id}",
            "command": f"flock --nonblock --conflict-exit-code {TWICE} --no-fork {lock} sleep 1000",
            "user": OWN_USER,
            "autorestart": "true",
            "boot": new.boot,
            "description": new.generation,
            "environment": {"GENERATION": new.generation},
        }
        if self.chance.random() < 0.5:
            body["health"] = {"command": "true", "interval": 1}
        self.ask(id, "addProgram", "programs/add", body, new, frozenset({new.boot}))

    def edit(self, id: int, kept: Kept) -> None:
        new = Kept(self.next_label(), kept.enabled, kept.boot)
        body = {"description": new.generation, "environment": {"GENERATION": new.generation}}
        runs = self.may_run(self.promises[id])
        self.ask(id, "editProgram", f"programs/edit/{id}", body, new, runs)

    def enable(self, id: int, kept: Kept) -> None:
        new = Kept(kept.generation, enabled=True, boot=kept.boot)
        self.ask(id, "enableProgram", f"programs/{id}/enable", {}, new, frozenset({kept.boot}))

    def disable(self, id: int, kept: Kept) -> None:
        new = Kept(kept.generation, enabled=False, boot=kept.boot)
        self.ask(id, "disableProgram", f"programs/{id}/disable", {}, new, frozenset({False}))

    def remove(self, id: int, kept: Kept) -> None:
        self.ask(id, "removeProgram", f"programs/remove/{id}", {}, None, frozenset({False}))

    def start(self, id: int, kept: Kept) -> None:
        body = {"if_not_running": True}
        self.ask(id, "startProgram", f"programs/{id}/start", body, kept, frozenset({True}))

    def stop(self, id: int, kept: Kept) -> None:
        self.ask(id, "stopProgram", f"programs/{id}/stop", {}, kept, frozenset({False}))

    def restart(self, id: int, kept: Kept) -> None:
        self.ask(id, "restartProgram", f"programs/{id}/restart", {}, kept, frozenset({True}))

    # Its launches

    def launch(self) -> None:
        if len(self.live) > 2:
            return
        seconds = self.chance.choice(["0", "1000"])
        note = shell("echo $1 >> $2; exec sleep $3", self.next_label(), str(self.drill.ran), seconds)
        body = {"command": note, "user": OWN_USER, "autorestart": "false"}
        response = self.client.post("quickStart", "quick-start", body)
        assert response.status_code in (200, 503, 504), response.text
        if id := response.json().get("temporary_id"):
            self.launched.append(id)
            self.live.append(id)

    def end_launch(self) -> None:
        if not self.live:
            return
        id = self.chance.choice(self.live)
        response = self.client.post("stopEphemeralProgram", f"quick-start/{id}/stop")
        assert response.status_code in (200, 503, 504), response.text
        if response.status_code == 200:
            self.live.remove(id)

    # Their outcomes

    def broken_promises(self, present: dict[int, dict[str, Any]]) -> Iterator[str]:
        for id, promise in self.promises.items():
            document = present.get(id)
            kept = Kept.of(document) if document else None
            if kept not in promise.kept:
                yield f"{id} is {kept}, which is none of {set(promise.kept)}"
            status = document["status"] if document else {"status": "stopped"}
            runs = status["status"] in ("running", "starting", "backoff")
            if runs not in self.may_run(promise):
                yield f"{id} is {status['status']}, against {promise}"
            if pid := status.get("pid"):
                carried = environment(pid).get(b"GENERATION", b"").decode()
                if kept is None or carried != kept.generation:
                    yield f"{id} runs as {carried!r}, and is kept as {kept}"
        known = {row["temporary_id"] for row in rows(self.drill.stack, "quick_start_ephemeralprogram")}
        yield from (f"the launch {id} was lost" for id in self.launched if id not in known)

    def take_as_it_is(self) -> None:
        """Take the present state as the start of the next round."""
        now = time.monotonic()
        present = {
            row["id"]: row for row in self.client.api.get("programs?include_status=true").json()["programs"]
        }
        for id in self.promises:
            document = present.get(id)
            runs = bool(document) and document["status"]["status"] in ("running", "starting", "backoff")
            kept = Kept.of(document) if document else None
            self.promises[id] = Promise(frozenset({kept}), frozenset({runs}), now, now)
