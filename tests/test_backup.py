"""``manage.py backup`` and ``restore``: what can't be made again, in one file and back in place."""

import os
import shutil
import signal
import sqlite3
import stat
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.database import on_sqlite
from tests.processes import LONG_RUNNING
from tests.program_sets import document, done, failed, mirrored, names, stored, write
from tests.stack import Api, Stack, temporary_stack

KEPT = {"db.sqlite3", "secret-key", "hosts-key", "api-token", "programs.default.json"}


@pytest.fixture(scope="module")
def source() -> Iterator[tuple[Stack, Path]]:
    """A stack in use, and a backup that was made of it while it ran."""
    with temporary_stack() as stack:
        api = stack.start().api
        api.add(LONG_RUNNING, name="kept", boot=True, environment={"A": "ü"})
        api.ok("hosts/add", {"name": "web-1", "url": stack.url, "token": "hdt_secret", "check": False})
        mirrored(stack)
        file = stack.folder.parent / "copy"
        assert done(stack, "backup", file) == f"Backed up to {file}.\n"
        assert stack.stop() == 0
        yield stack, file


def content(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def test_backup_holds_what_cannot_be_made_again_for_its_owner_only(source: tuple[Stack, Path]) -> None:
    _, file = source
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        assert set(archive.getnames()) == KEPT
        assert {member.mode for member in archive} == {0o600}
    assert [each.name for each in file.parent.iterdir() if each.name.startswith(".")] == []


def test_restore_on_an_empty_folder(source: tuple[Stack, Path], own_stack: Stack) -> None:
    stack, file = source
    assert done(own_stack, "restore", file) == f"Restored from {file}: the next start uses it.\n"
    for name in KEPT - {"db.sqlite3"}:
        assert content(own_stack.folder, name) == content(stack.folder, name)
    for name in KEPT:
        assert stat.S_IMODE((own_stack.folder / name).stat().st_mode) == 0o600
    api = own_stack.start().api  # with the token of the backup
    assert set(names(api).values()) == {"example-web", "example-workers", "kept"}
    problem = api.ok("hosts/web-1/check")["problem"]  # its token can be read
    assert problem == "Host 'web-1' can't be reached: Connection refused"
    assert "shown only now" not in own_stack.output.read_text()


@pytest.fixture(scope="module")
def crashed() -> Iterator[dict[int, Path]]:
    """State folders whose database has a log that is not written back, as a power failure leaves it.

    By the number of programs that are in it.
    """
    with temporary_stack() as stack:
        api = stack.start().api
        folders = {}
        for number in range(1, 22):
            api.add(LONG_RUNNING, name=f"later {number}", enabled=False)
            if number in (1, 2, 3, 21):
                folders[number] = stack.folder.with_name(f"crashed-{number}")
                shutil.copytree(
                    stack.folder, folders[number], ignore=shutil.ignore_patterns("*.sock", "*.tmp")
                )
                assert (folders[number] / "db.sqlite3-wal").stat().st_size > 0
        yield folders


@pytest.mark.parametrize("programs", [1, 2, 3])
@on_sqlite
def test_restore_over_a_crashed_database(
    source: tuple[Stack, Path], crashed: dict[int, Path], own_stack: Stack, programs: int
) -> None:
    """Its old ``-wal`` must not be replayed over the restored database."""
    _, file = source
    shutil.copytree(crashed[programs], own_stack.folder)
    old = content(own_stack.folder, "db.sqlite3"), content(own_stack.folder, "db.sqlite3-wal")
    said = done(own_stack, "restore", file)
    [kept] = (own_stack.folder / "backups").glob("replaced-*")
    assert said == f"Restored from {file}: the next start uses it. What it replaced is in {kept}.\n"
    assert (content(kept, "db.sqlite3"), content(kept, "db.sqlite3-wal")) == old
    with closing(sqlite3.connect(own_stack.folder / "db.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = {name for (name,) in database.execute("SELECT name FROM daemon_programs_program")}
    assert found == {"example-web", "example-workers", "kept"}


@on_sqlite
def test_stack_runs_on_what_was_restored_over_a_crash(
    source: tuple[Stack, Path], crashed: dict[int, Path], own_stack: Stack
) -> None:
    _, file = source
    shutil.copytree(crashed[21], own_stack.folder)
    done(own_stack, "restore", file)
    assert "kept" in names(own_stack.start().api).values()


def test_restore_that_was_cut_short_is_finished_by_the_next_start(
    source: tuple[Stack, Path], own_stack: Stack
) -> None:
    _, file = source
    done(own_stack, "restore", file)
    token = own_stack.token
    restoring = own_stack.folder / "restoring"
    restoring.mkdir(mode=0o700)
    for name in KEPT:
        (own_stack.folder / name).rename(restoring / name)
    (restoring / "secret-key").rename(own_stack.folder / "secret-key")  # some are in place already
    own_stack.prepare()
    assert "kept" in stored(own_stack).values()
    assert own_stack.token == token
    assert not restoring.exists()


def test_restore_while_the_stack_runs_is_refused(source: tuple[Stack, Path], stack: Stack) -> None:
    before = names(stack.api)
    assert failed(stack, "restore", source[1]).startswith(f"A stack already runs on {stack.folder}: stop it")
    assert names(stack.api) == before


def test_what_a_killed_stack_left_is_ended_before_its_database_is_replaced(
    source: tuple[Stack, Path], own_stack: Stack
) -> None:
    own_stack.start()
    os.kill(own_stack.supervisord_pid, signal.SIGKILL)
    assert own_stack.process is not None
    own_stack.process.wait()
    done(own_stack, "restore", source[1])
    assert own_stack.processes() == []


NOT_BACKUPS = {
    "text": b"programs",
    "nothing": b"",
    "half": None,  # of a real one
}


@pytest.mark.parametrize("content", NOT_BACKUPS.values(), ids=NOT_BACKUPS)
def test_what_is_no_backup_changes_nothing(
    source: tuple[Stack, Path], own_stack: Stack, tmp_path: Path, content: bytes | None
) -> None:
    whole = source[1].read_bytes()
    file = tmp_path / "file"
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert failed(own_stack, "restore", file).startswith(f"{file} can't be read as a backup: ")
    assert [each.name for each in own_stack.folder.iterdir() if "db" in each.name] == []
    assert list(own_stack.folder.glob(".backup-*")) == []


@pytest.mark.parametrize("name", ["../db.sqlite3", "stack.lock", "folder"])
def test_other_names_are_refused(own_stack: Stack, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        archive.add(tmp_path / "file", arcname=name)
    assert failed(own_stack, "restore", tmp_path / "archive") == (
        f"{tmp_path}/archive is no backup: it holds '{name}'"
    )


def test_backup_of_a_later_version_is_refused(
    source: tuple[Stack, Path], own_stack: Stack, tmp_path: Path
) -> None:
    """A plain copy of a database can be restored as well, as the documentation once said to make it."""
    with tarfile.open(source[1]) as archive:
        archive.extract("db.sqlite3", tmp_path)
    file = tmp_path / "db.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('auth', '9999_later', '2030-01-01')"
        )
        database.commit()
    assert failed(own_stack, "restore", file) == (
        f"{file} can't be restored: its database was made by a later version of this project "
        "(it has auth 9999_later)"
    )
    with closing(sqlite3.connect(file)) as database:
        database.execute("DELETE FROM django_migrations WHERE name = '9999_later'")
        database.commit()
    done(own_stack, "restore", file)
    own_stack.prepare()
    assert "kept" in stored(own_stack).values()


def test_backup_without_a_database_is_refused(own_stack: Stack, tmp_path: Path) -> None:
    assert failed(own_stack, "backup", tmp_path / "copy") == (
        f"There is no database in {own_stack.folder}: has the stack ever run?"
    )
    assert list(tmp_path.iterdir()) == []


@on_sqlite
def test_backup_is_consistent_while_others_write(api: Api, stack: Stack, tmp_path: Path) -> None:
    before = len(names(api))
    for round in range(3):
        for number in range(5):
            api.add(name=f"{round} {number}", enabled=False)
        done(stack, "backup", tmp_path / "copy")  # over the one before
        with tarfile.open(tmp_path / "copy") as archive:
            archive.extract("db.sqlite3", tmp_path)
        with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
            [(count,)] = database.execute("SELECT count(*) FROM daemon_programs_program").fetchall()
        assert count == before + 5 * (round + 1)


def test_mirror_that_knows_more_than_the_database_is_kept(
    source: tuple[Stack, Path], own_stack: Stack
) -> None:
    """An older copy of the database was put back by hand: the programs made since are in the mirror only."""
    done(own_stack, "restore", source[1])
    mirror = write(own_stack.folder / "programs.json", document(77, "made since"))
    text = mirror.read_text()
    said = own_stack.prepare()
    [kept] = (own_stack.folder / "backups").glob("programs-*.json")
    assert kept.read_text() == text
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert f"programs.json has programs that the database lacks: kept as backups/{kept.name}" in said
    assert "made since" not in mirror.read_text()


def test_mirror_that_knows_less_is_not_kept(source: tuple[Stack, Path], own_stack: Stack) -> None:
    done(own_stack, "restore", source[1])
    (own_stack.folder / "programs.json").write_text('{"programs": []}')
    own_stack.prepare()
    assert list((own_stack.folder / "backups").glob("programs-*.json")) == []


def test_samples_of_the_replaced_programs_are_removed(source: tuple[Stack, Path], own_stack: Stack) -> None:
    done(own_stack, "restore", source[1])
    samples = own_stack.folder / "samples"
    samples.write_bytes(b"of other programs with the same ids")
    done(own_stack, "restore", source[1])
    assert not samples.exists()
