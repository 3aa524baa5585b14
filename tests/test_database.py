"""A database that can't be used stops the start with one sentence, and the way out that it names works."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.processes import LONG_RUNNING
from tests.program_sets import document, failed, mirrored, stored
from tests.stack import Stack, temporary_stack


@pytest.fixture(scope="module")
def used() -> Iterator[Stack]:
    """A stack that has been in use, and is stopped."""
    with temporary_stack() as stack:
        api = stack.start().api
        api.add(LONG_RUNNING, name="kept", boot=True, environment={"A": "ü"})
        api.add(LONG_RUNNING, name="ports", port_range={"start": 64100, "end": 64101}, enabled=False)
        mirrored(stack)
        assert stack.stop() == 0
        yield stack


@pytest.fixture
def copy(used: Stack, own_stack: Stack) -> Stack:
    """A copy of it, to be damaged."""
    shutil.copytree(used.folder, own_stack.folder, ignore=shutil.ignore_patterns("*.sock"))
    return own_stack


def change(file: Path, *statements: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def truncate(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def break_a_page(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    file.write_bytes(content)


def drop_everything(file: Path) -> None:
    file.unlink()
    change(file)


LATER = (
    "INSERT INTO django_migrations (app, name, applied) VALUES "
    "('daemon_programs', '9999_later', '2030-01-01')"
)
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "garbage": (lambda file: file.write_bytes(b"garbage\n" * 10_000), "file is not a database"),
    "truncated": (truncate, "malformed"),
    "broken page": (break_a_page, ""),
    "empty": (lambda file: file.write_bytes(b""), "it is empty"),
    "no tables": (drop_everything, "it is empty"),
    "one table less": (
        lambda file: change(file, "DROP TABLE quick_start_ephemeralprogram"),
        "it lacks the table quick_start_ephemeralprogram",
    ),
    "no migrations": (lambda file: change(file, "DROP TABLE django_migrations"), "it lacks tables"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
def test_start_stops_with_the_reason_and_the_way_out(
    copy: Stack, damage: Callable[[Path], object], why: str
) -> None:
    file = copy.folder / "db.sqlite3"
    damage(file)
    before = file.read_bytes(), (copy.folder / "programs.json").read_bytes()
    sentence = failed(copy, "run_stack")
    assert sentence.startswith(f"The database {file} can't be used (")
    assert why in sentence
    assert sentence.endswith(
        f"): restore a backup (manage.py restore FILE), or move all {file}* away and start again, which "
        f"loads the programs from {copy.folder}/programs.json and creates a new administrator and token, but "
        "loses other users, tokens and the history"
    )
    assert (file.read_bytes(), (copy.folder / "programs.json").read_bytes()) == before
    assert copy.processes() == []


def test_database_of_a_later_version_is_not_called_damaged(copy: Stack) -> None:
    """Its file is sound: moving it away would lose everything for nothing."""
    file = copy.folder / "db.sqlite3"
    change(file, LATER)
    assert failed(copy, "run_stack") == (
        f"The database {file} was made by a later version of this project (it has daemon_programs "
        "9999_later): run that version, or restore a backup that was made before the upgrade "
        "(manage.py restore FILE)"
    )
    change(file, "DELETE FROM django_migrations WHERE name = '9999_later'")
    assert copy.prepare()


def test_way_out_brings_the_programs_back(copy: Stack, used: Stack) -> None:
    """As the sentence says, and docs/operations.md."""
    file = copy.folder / "db.sqlite3"
    file.write_bytes(b"garbage")
    wanted = json.loads((copy.folder / "programs.json").read_text())
    old = copy.token
    failed(copy, "run_stack")
    (copy.folder / "broken").mkdir()
    for each in copy.folder.glob("db.sqlite3*"):
        each.rename(copy.folder / "broken" / each.name)
    api = copy.start().api
    assert copy.token != old
    assert copy.client(old).get("programs").status_code == 401
    programs = api.get("programs").json()
    here, there = str(copy.folder), str(used.folder)
    assert json.dumps(programs).replace(here, there) == json.dumps(wanted).replace(here, there)
    [kept] = [program["id"] for program in programs["programs"] if program["name"] == "kept"]
    api.until(kept, "running")
    assert "shown only now" in copy.output.read_text()


def test_mirror_that_can_not_be_read_either_is_said(copy: Stack) -> None:
    (copy.folder / "db.sqlite3").unlink()
    (copy.folder / "programs.json").write_text('{"programs": [')
    sentence = failed(copy, "run_stack")
    assert sentence.startswith(f"The programs can't be loaded: {copy.folder}/programs.json can't be read: ")
    (copy.folder / "programs.json").write_text(json.dumps([document(5, "by hand")]))
    copy.prepare()
    assert stored(copy) == {5: "by hand"}


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[", b'{"programs": 5}'])
def test_corrupt_mirrors_are_rewritten_from_the_database(copy: Stack, used: Stack, content: bytes) -> None:
    # The paths of logs are in it.
    right = (copy.folder / "programs.json").read_text().replace(str(used.folder), str(copy.folder))
    for name in ("programs.json", "ephemeral.json"):
        (copy.folder / name).write_bytes(content)
    assert "programs.json differs from the database: rewritten" in copy.prepare()
    assert (copy.folder / "programs.json").read_text() == right
    assert json.loads((copy.folder / "ephemeral.json").read_bytes()) is not None


def test_first_start_that_was_cut_off_goes_on(own_stack: Stack) -> None:
    """Killed when SQLite had made its file, and written nothing to it."""
    own_stack.folder.mkdir(mode=0o700)
    (own_stack.folder / "db.sqlite3").touch()
    (own_stack.folder / ".programs.json.4711.tmp").write_text('{"prog')
    assert "shown only now" in own_stack.prepare()
    assert list(own_stack.folder.rglob(".*.tmp")) == []


def test_state_folder_that_can_not_be_written_is_one_sentence(copy: Stack) -> None:
    (copy.folder / "supervisord.conf").unlink()
    (copy.folder / "supervisord.conf").mkdir()
    sentence = failed(copy, "run_stack")
    assert sentence.startswith(f"The state folder {copy.folder} can't be written or read: ")
