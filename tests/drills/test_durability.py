"""Kills at random moments while programs are written: confirmed changes are complete and consistent.

Clients add, change and remove programs of their own. Meanwhile the API, or everything at once, is killed
with SIGKILL: in the middle of a transaction, of a file, of a call to supervisord.
"""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests import database
from tests.drills import ROUNDS, SEED
from tests.drills.consistency import agree, unfinished
from tests.stack import OWN_USER, Stack, eventually, temporary_stack
from tests.temporary_programs import api_pid, own_processes

KILLS = 3 * ROUNDS
WRITERS = 6
LONGEST_WRITE = 1.5


class Writer:
    """A client that records what was confirmed for each of its programs."""

    def __init__(self, stack: Stack, number: int) -> None:
        self.stack = stack
        self.api = stack.api
        self.chance = random.Random(SEED + number)
        self.number = number
        self.made = 0
        self.answered = 0
        # Of each name, what it may be described as; None: it may not be there.
        self.promised: dict[str, set[str | None]] = {}
        self.ids: dict[str, int] = {}

    def write_until(self, over: threading.Event) -> None:
        while not over.is_set():
            self.write()

    def write(self) -> None:
        known = sorted(self.ids)
        verb = self.chance.choice([self.add, self.edit, self.edit, self.remove]) if known else self.add
        verb() if verb == self.add else verb(self.chance.choice(known))  # type: ignore[call-arg]

    def add(self) -> None:
        self.made += 1
        name = f"w{self.number} {self.made}"
        self.promised[name] = {None, "0"}
        body = {"name": name, "description": "0", "command": "sleep 1000", "user": OWN_USER,
                "boot": self.chance.random() < 0.2}  # fmt: skip
        if answer := self.ask("programs/add", body):
            self.promised[name] = {"0"}
            self.ids[name] = answer["id"]

    def edit(self, name: str) -> None:
        self.made += 1
        description = str(self.made)
        self.promised[name] |= {description}
        if self.ask(f"programs/edit/{self.ids[name]}", {"description": description}):
            self.promised[name] = {description}

    def remove(self, name: str) -> None:
        self.promised[name] |= {None}
        if self.ask(f"programs/remove/{self.ids.pop(name)}", {}):
            self.promised[name] = {None}

    def ask(self, route: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Return the response if it confirms a change; without a response the outcome is unknown."""
        try:
            response = self.api.session.post(f"{self.api.base}/{route}", json=body, timeout=30)
        except requests.RequestException:
            time.sleep(0.05)
            return None
        assert response.status_code in (200, 404, 503, 504), response.text
        self.answered += response.status_code == 200
        return response.json() if response.status_code == 200 else None  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def written() -> Iterator[Stack]:
    with temporary_stack() as stack:
        yield stack.start()


def test_confirmed_changes_survive_kills_at_any_moment(written: Stack) -> None:
    print(f"DRILL_SEED={SEED}")
    chance = random.Random(SEED)
    writers = [Writer(written, number) for number in range(WRITERS)]
    kills: list[str] = []
    for number in range(KILLS):
        over = threading.Event()
        with ThreadPoolExecutor(WRITERS) as pool:
            writing = [pool.submit(writer.write_until, over) for writer in writers]
            try:
                time.sleep(chance.uniform(0.2, LONGEST_WRITE))
                kills.append(kill(written, everything=number % 3 == 2))
            finally:
                over.set()
            for each in writing:
                each.result(120)
        check_whole(written)
        if written.process.poll() is not None:
            written.start()
        eventually(lambda: api_pid(written), 90, "the API is back")
        agree(written, 90)
        for writer in writers:
            check_promises(written, writer)
    answered = sum(writer.answered for writer in writers)
    print(f"{len(kills)} kills ({', '.join(sorted(set(kills)))}), {answered} changes promised, none lost")


def kill(stack: Stack, *, everything: bool) -> str:
    """SIGKILL the API, or all of the stack's own processes at once."""
    parts = [stack.supervisord_pid] if everything else []
    killed = ("api", "scheduler", "listener") if everything else ("api",)
    parts += [process.pid for process in own_processes(stack, *killed)]
    for pid in parts:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if everything:
        assert stack.process is not None
        stack.process.wait()
    return "everything" if everything else "the API"


def check_whole(stack: Stack) -> None:
    """Check that the database, each configuration file and the mirrors can be read at once."""
    if not database.POSTGRES:
        with database.opened(stack.folder) as opened:
            assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for file in (*(stack.folder / "conf.d").glob("[!.]*"), stack.folder / "programs.json"):
        with contextlib.suppress(FileNotFoundError):
            json.loads(file.read_bytes())


def check_promises(stack: Stack, writer: Writer) -> None:
    listed = stack.api.get("programs").json()["programs"]
    present = {each["name"]: each for each in listed if each["name"].startswith(f"w{writer.number} ")}
    for name, allowed in writer.promised.items():
        found = present.get(name, {}).get("description")
        assert found in allowed, f"{name} is {found!r}, which must be one of {allowed}"
        writer.promised[name] = {found}
    assert set(present) <= set(writer.promised)
    writer.ids = {name: each["id"] for name, each in present.items()}


def test_start_leaves_no_unfinished_file(written: Stack) -> None:
    """The last test of this module."""
    (written.folder / ".programs.json.1.tmp").write_text("{")
    (written.folder / "conf.d" / ".program-1.json.1.tmp").write_text("{")
    assert written.stop() == 0
    written.start()
    assert unfinished(written) == []
    agree(written)
