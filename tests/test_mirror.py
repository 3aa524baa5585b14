"""``programs.json``: the programs for other tools (docs/contract.md, section 7)."""

import fcntl
import json
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from daemon_programs.maintenance.mirror import Mirror, to_text
from tests import database
from tests.processes import started
from tests.stack import PROJECT, Api, Stack, eventually

# Within a second, says the contract; a busy machine gets some more.
SOON = 5


@pytest.fixture
def file(stack: Stack) -> Path:
    return stack.folder / "programs.json"


def content(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_file_holds_what_the_list_shows(api: Api, file: Path) -> None:
    api.add(name="日本", description="“two\nlines”", environment={"A": "\u2028\x1b"}, display="1")
    api.add(name="ports", port_range={"start": 64000, "end": 64001}, enabled=False)
    eventually(lambda: content(file) == api.get("programs").json(), SOON)


def test_every_change_arrives(api: Api, file: Path) -> None:
    def shown(id: int) -> dict[str, Any] | None:
        return next((each for each in content(file)["programs"] if each["id"] == id), None)

    id = api.add(name="mirrored")
    eventually(lambda: shown(id), SOON)
    api.ok(f"programs/edit/{id}", {"description": "new"})
    eventually(lambda: shown(id)["description"] == "new", SOON)
    api.ok(f"programs/{id}/disable")
    eventually(lambda: shown(id)["enabled"] is False, SOON)
    api.ok(f"programs/{id}/enable")
    eventually(lambda: shown(id)["enabled"] is True, SOON)
    api.ok(f"programs/remove/{id}")
    eventually(lambda: shown(id) is None, SOON)


def test_file_has_its_form(api: Api, file: Path) -> None:
    for id in (400_002, 400_001):
        api.add(id=id, name=f"é{id}")
    eventually(lambda: "é400001" in file.read_text(), SOON)
    text = file.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
    ids = [program["id"] for program in content(file)["programs"]]
    assert ids == sorted(ids)


def test_file_is_for_its_owner_only(api: Api, file: Path) -> None:
    api.add()
    names = ["programs.json", "programs.default.json", "api-token", "secret-key"]
    for name in names if database.POSTGRES else [*names, "db.sqlite3"]:
        assert stat.S_IMODE(file.with_name(name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_what_runs_does_not_change_it(api: Api, file: Path) -> None:
    id = api.add(name="runs")
    eventually(lambda: "runs" in file.read_text(), SOON)
    before = file.read_text()
    started(api, id)
    api.ok(f"programs/{id}/restart", {"wait": True})
    api.ok(f"programs/{id}/stop")
    assert file.read_text() == before


def test_readers_never_see_half_a_file(api: Api, file: Path) -> None:
    for number in range(30):
        api.add(name=f"burst {number}", description="x" * 500)
        content(file)  # raises for half a file
    eventually(lambda: "burst 29" in file.read_text(), SOON)
    assert [each for each in file.parent.iterdir() if each.name.endswith(".tmp")] == []


# Concurrent writers


class Writer(threading.Thread):
    """Write a file as another process would, with the data of that moment."""

    def __init__(self, path: Path, database: list[str]) -> None:
        super().__init__(daemon=True)
        self.has_read = False
        self.changed: bool | None = None
        self.database = database
        self.mirror = Mirror(path, self.read)

    def read(self) -> str:
        self.has_read = True
        return self.database[0]

    def run(self) -> None:
        self.changed = self.mirror.write()


def waits(lock: Path) -> bool:
    """Return whether a process waits for the lock."""
    inode = f":{lock.stat().st_ino} "
    return any("->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines())


def test_second_writer_waits_and_only_then_reads(tmp_path: Path) -> None:
    """Otherwise it would overwrite newer data with what it has read before."""
    path, database = tmp_path / "mirror.json", ["old"]
    lock = tmp_path / ".mirror.json.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        writer = Writer(path, database)
        writer.start()
        eventually(lambda: waits(lock) or not writer.is_alive() or writer.has_read)
        assert writer.is_alive()
        assert not writer.has_read
        assert not path.exists()
        database[0] = "new"
    writer.join(10)
    assert (path.read_text(), writer.changed) == ("new", True)


def test_lock_is_released_also_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "mirror.json"
    with pytest.raises(ZeroDivisionError):
        Mirror(path, lambda: str(1 // 0)).write()
    for changed in (True, False):
        writer = Writer(path, ["text"])
        writer.start()
        writer.join(10)
        assert writer.changed is changed


ENDING = """
import os, sys, time
from multiprocessing import get_context
from pathlib import Path
import django
django.setup()

from daemon_programs.maintenance.mirror import Mirror

def text():
    time.sleep({takes})
    return "written"

def change():
    file.touch()
    time.sleep({lives})

file = Mirror(Path(sys.argv[1]), text)
if {forked}:
    process = get_context("fork").Process(target=change)
    process.start()
    process.join()
else:
    change()
"""


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize(("takes", "lives"), [(0.0, 0.0), (0.5, 0.4)], ids=["gathering", "writing"])
def test_last_change_of_a_process_is_written(
    tmp_path: Path, forked: bool, takes: float, lives: float
) -> None:
    """Also if it ends while its thread gathers changes, or writes; so do the processes of the queue."""
    file = tmp_path / "mirror.json"
    script = ENDING.format(takes=takes, lives=lives, forked=forked)
    ran = subprocess.run([sys.executable, "-c", script, str(file)], cwd=PROJECT, timeout=60)
    assert ran.returncode == 0
    assert file.read_text() == "written"


@pytest.mark.parametrize(
    "value",
    [
        'ü\u2028\x7f<&"\\/\x00\x1f\t\n😀',
        2**64,
        -(2**63),
        1e300,
        -0.0,
        0.1,
        True,
        None,
        [],
        {},
        {"a": [{"b": []}]},
    ],
)
def test_text_is_that_of_pythons_own_encoder(value: Any) -> None:
    document = {"programs": [{"id": 1, "value": value}, {}]}
    assert to_text(document) == json.dumps(document, ensure_ascii=False, indent=2) + "\n"
