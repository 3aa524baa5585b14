"""A full disk: honest answers, no half file, and once there is room everything goes on by itself."""

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import database
from tests.drills import ROUNDS
from tests.drills.consistency import agree, unfinished
from tests.processes import is_root, shell, started
from tests.program_sets import failed
from tests.stack import OWN_USER, Api, Stack, eventually, temporary_folder
from tests.temporary_programs import Quick

pytestmark = pytest.mark.skipif(not is_root(), reason="only root can mount a small disk")

SENTENCE = "The state of the daemon can't be written or read at the moment"
DISK = "32m"


@pytest.fixture
def small() -> Iterator[Stack]:
    """A stack whose state folder is a small disk of its own."""
    with temporary_folder() as parent:
        stack = Stack(parent / "state")
        stack.folder.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", stack.folder],
            capture_output=True,
            text=True,
        )
        try:
            if mounted.returncode != 0:
                pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")
            yield stack
        finally:
            stack.destroy()
            if mounted.returncode == 0:
                eventually(
                    lambda: subprocess.run(["umount", stack.folder], capture_output=True).returncode == 0
                )


def fill(stack: Stack) -> Path:
    """Fill the disk to the last byte."""
    ballast = stack.folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    assert os.statvfs(stack.folder).f_bavail == 0
    return ballast


@pytest.mark.parametrize("round", range(ROUNDS))
def test_full_disk_is_said_and_survived(small: Stack, round: int) -> None:
    api = small.start().api
    chatty = api.add(shell("while :; do echo line; sleep 0.05; done"), name="chatty")
    quiet = api.add("sleep 1000", name="quiet")
    pids = started(api, chatty), started(api, quiet)
    eventually(lambda: "line" in api.logs(chatty))
    agree(small)
    before = api.get("programs").json()

    ballast = fill(small)
    refused = check_changes(api, quiet)
    assert api.get("programs").json() == before, "reading needs no room"
    assert api.get("status").status_code == 200
    assert (api.pid(chatty), api.pid(quiet)) == pids, "what runs runs on"
    for name in ("programs.json", "ephemeral.json"):
        json.loads((small.folder / name).read_bytes())
    for file in (small.folder / "conf.d").iterdir():
        json.loads(file.read_bytes())
    assert unfinished(small) == []

    ballast.unlink()
    id = eventually(lambda: added(api), 30, "it can be written again")
    api.ok(f"programs/edit/{quiet}", {"description": "changed"})
    Quick(small).launch("echo done", wait="exit")
    logged = api.logs(chatty, lines=10000).count("line")
    eventually(lambda: api.logs(chatty, lines=10000).count("line") > logged, 30, "it is logged again")
    api.ok(f"programs/remove/{id}")
    agree(small, timeout=90)
    assert (api.pid(chatty), api.pid(quiet)) == pids
    print(f"{refused} changes refused on a full disk")


def test_list_of_programs_on_a_full_disk_changes_nothing_and_works_later(small: Stack) -> None:
    api = small.start().api
    former = [_program(name, boot=True) for name in ("kept", "changed", "removed")]
    api.ok("programs/apply", {"programs": former, "set": "disk", "wait": True})
    before, files, pids = _everything(small)
    wide = {"A": "x" * 20_000}
    wanted = [
        _program("kept", boot=True),
        _program("changed", boot=True, environment=wide),
        *(_program(f"new {number}", boot=True, environment=wide) for number in range(40)),
    ]
    body = {"programs": wanted, "set": "disk", "prune": True, "wait": True, "rollback": True}

    for room in (0, 200, 400):  # kilobytes: for nothing, for a part of the files
        ballast = fill(small)
        os.truncate(ballast, ballast.stat().st_size - room * 1024)
        answer = api.post("programs/apply", body)
        assert (answer.status_code, answer.json()["error"]) == (503, SENTENCE)
        assert unfinished(small) == []
        assert _everything(small)[:2] == (before, files)
        eventually(lambda: pids.keys() == _everything(small)[2].keys())
        assert _everything(small)[2]["removed"] == pids["removed"]

    ballast.unlink()
    assert api.ok("programs/apply", body)["counts"]["create"] == 40
    agree(small, timeout=90)


def _program(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "command": "sleep 1000", "user": OWN_USER, **fields}


def _everything(stack: Stack) -> tuple[Any, dict[str, bytes], dict[str, int]]:
    """Return the programs, their files, and the pids of those that run."""
    files = {file.name: file.read_bytes() for file in (stack.folder / "conf.d").iterdir()}
    statuses = stack.api.get("status").json()["statuses"]
    pids = {each["name"]: each["status"]["pid"] for each in statuses if "pid" in each["status"]}
    return stack.api.get("programs").json(), files, pids


def check_changes(api: Api, id: int) -> int:
    """Changes are refused with a sentence, or made: a change may fit into room that is there already."""
    refused = 0
    padding = "x" * 400
    for number in range(40):
        requests: list[tuple[str, dict[str, Any]]] = [
            ("programs/add", {"name": f"new {number} {padding[:50]}", "command": "true", "user": OWN_USER,
                              "description": padding, "environment": {"P": padding * 50}}),
            (f"programs/edit/{id}", {"environment": {"P": f"{number}{padding * 50}"}}),
            ("quick-start", {"command": "sleep 1000", "user": OWN_USER, "environment": {"P": padding * 50}}),
        ]  # fmt: skip
        for route, body in requests:
            answer = api.post(route, body)
            if answer.status_code != 200:
                refused += 1
                assert (answer.status_code, answer.json()["error"]) == (503, SENTENCE)
        if refused >= 9:
            break
    assert refused >= 9
    return refused


def added(api: Api) -> int | None:
    answer = api.post("programs/add", {"name": "after", "command": "true", "user": OWN_USER})
    return answer.json().get("id") if answer.status_code == 200 else None


@database.on_sqlite  # with a server, a start writes little
def test_start_on_a_full_disk_is_one_sentence_and_works_later(small: Stack) -> None:
    id = small.start().api.add("sleep 1000", boot=True)
    assert small.stop() == 0
    ballast = fill(small)
    (small.folder / "supervisord.conf").unlink()
    with ballast.open("ab") as file, contextlib.suppress(OSError):
        file.write(b"\0" * 1024 * 1024)
    sentence = failed(small, "run_stack")
    assert sentence.startswith(f"The state folder {small.folder} can't be written or read: ")
    assert small.processes() == []
    ballast.unlink()
    small.start().api.until(id, "running")
