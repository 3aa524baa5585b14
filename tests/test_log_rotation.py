"""How the plugin rotates logs: between lines, and not before their followers are ready."""

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from daemon_programs.supervisor.plugin.io.output import RotatingLog

MIB = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.log"


def emit(log: RotatingLog, *chunks: bytes) -> None:
    for chunk in chunks:
        log.emit(SimpleNamespace(msg=chunk))


def contents(path: Path) -> list[bytes]:
    """Of all files there are, the oldest first."""
    files = sorted(path.parent.iterdir(), key=lambda file: int(file.suffix[1:]) if file != path else 0)
    return [file.read_bytes() for file in reversed(files)]


@contextlib.contextmanager
def following(file: Path) -> Iterator[int]:
    """Hold a file as a follower does, while it reads it."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def descriptors_of(path: Path) -> int:
    return sum(file.path.startswith(str(path)) for file in psutil.Process().open_files())


def test_chunk_that_crosses_the_limit_is_divided_behind_its_last_line(path: Path) -> None:
    log = RotatingLog(str(path), 10, 2)
    emit(log, b"one\n", b"two\nthree\nfo", b"ur\n")
    assert contents(path) == [b"one\ntwo\nthree\n", b"four\n"]
    log.close()


def test_log_is_rotated_when_it_reaches_its_limit_exactly(path: Path) -> None:
    log = RotatingLog(str(path), 4, 2)
    emit(log, b"one\n")
    assert contents(path) == [b"one\n", b""]
    log.close()


def test_rotation_waits_for_the_end_of_a_line(path: Path) -> None:
    log = RotatingLog(str(path), 10, 2)
    emit(log, b"a long line ", b"that goes on ", b"and on")
    assert contents(path) == [b"a long line that goes on and on"]
    emit(log, b".\nnext")
    assert contents(path) == [b"a long line that goes on and on.\n", b"next"]
    log.close()


def test_line_without_an_end_is_divided_a_mebibyte_over_the_limit(path: Path) -> None:
    log = RotatingLog(str(path), 1000, 2)
    emit(log, *[b"x" * 1000] * 1048)
    assert path.stat().st_size == 1048 * 1000
    emit(log, *[b"x" * 1000] * 2, b"rest\n")
    assert [len(content) for content in contents(path)] == [1050 * 1000, 5]
    log.close()


def test_so_many_backups_are_kept(path: Path) -> None:
    log = RotatingLog(str(path), 1, 3)
    emit(log, *[b"%d\n" % number for number in range(9)])
    assert contents(path) == [b"6\n", b"7\n", b"8\n", b""]
    log.close()


def test_without_backups_a_new_file_takes_its_place(path: Path) -> None:
    log = RotatingLog(str(path), 4, 0)
    emit(log, b"one")
    with path.open("rb") as reader:
        emit(log, b"\ntwo")
        assert reader.read() == b"one\n"
    assert contents(path) == [b"two"]
    log.close()


def test_deleted_log_is_recreated(path: Path) -> None:
    log = RotatingLog(str(path), 0, 2)
    emit(log, b"one\n")
    path.unlink()
    emit(log, b"two\n", b"three\n")
    assert contents(path) == [b"two\nthree\n"]
    log.close()


@pytest.mark.parametrize("is_replaced", [False, True], ids=["moved", "moved and replaced"])
def test_log_that_others_have_renamed_is_left_for_a_new_one(path: Path, is_replaced: bool) -> None:
    log = RotatingLog(str(path), 0, 2)
    emit(log, b"one\n")
    path.rename(path.with_name("out.log.1"))
    if is_replaced:
        path.touch(0o600)
    emit(log, b"two\n")
    assert contents(path) == [b"one\n", b"two\n"]
    assert descriptors_of(path) == 1
    log.close()


def test_log_that_others_have_copied_and_emptied_goes_on(path: Path) -> None:
    log = RotatingLog(str(path), 10, 2)
    emit(log, b"one\n")
    os.truncate(path, 0)
    emit(log, b"two\n")
    assert contents(path) == [b"two\n"]
    log.close()


def test_folder_that_others_have_removed_or_moved_is_made_again(path: Path) -> None:
    path = path.parent / "logs" / "out.log"
    log = RotatingLog(str(path), 0, 2)
    emit(log, b"one\n")
    path.parent.rename(path.parent.with_name("old"))
    emit(log, b"two\n")
    assert path.read_bytes() == b"two\n"
    shutil.rmtree(path.parent)
    emit(log, b"three\n")
    assert path.read_bytes() == b"three\n"
    assert (path.parent.with_name("old") / "out.log").read_bytes() == b"one\n"
    log.close()


def test_next_file_is_not_rotated_while_one_that_was_moved_is_read(path: Path) -> None:
    log = RotatingLog(str(path), 4, 0)
    emit(log, b"one")
    with following(path):
        path.rename(path.with_name("elsewhere"))
        emit(log, b"two\n", b"three\n")
        assert path.read_bytes() == b"two\nthree\n"
    emit(log, b"four\n", b"5")
    assert path.read_bytes() == b"5"
    log.close()


def test_reopening_what_was_not_moved_changes_nothing(path: Path) -> None:
    log = RotatingLog(str(path), 4, 2)
    emit(log, b"one")
    with following(path):
        log.reopen()
        emit(log, b"\n", b"two")
        assert contents(path) == [b"one\n", b"two"]
    log.close()


def test_path_that_can_not_be_looked_up_keeps_its_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RotatingLog(str(path), 0, 2)

    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError

    with monkeypatch.context() as changed:
        changed.setattr("daemon_programs.supervisor.plugin.io.output.os.stat", refuse)
        emit(log, b"one\n")
    assert contents(path) == [b"one\n"]
    log.close()


@pytest.mark.parametrize("leads", ["/proc/self/fd/{0}", "/dev/fd/{0}", "/proc/{1}/fd/{0}"])
@pytest.mark.parametrize("backups", [0, 2])
def test_file_behind_a_descriptor_is_never_rotated_nor_emptied(path: Path, leads: str, backups: int) -> None:
    with path.open("ab") as file:
        log = RotatingLog(leads.format(file.fileno(), os.getpid()), 1, backups)
        emit(log, *[b"%d\n" % number for number in range(9)])
        log.remove()
        emit(log, b"9\n")
    assert path.read_bytes() == b"".join(b"%d\n" % number for number in range(10))
    assert list(path.parent.iterdir()) == [path]
    log.close()


def test_only_regular_files_are_removed(path: Path) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = RotatingLog(str(path), 0, 0)
    log.remove()
    assert path.is_fifo()
    log.reopen()
    emit(log, b"one\n")
    assert os.read(reader, 100) == b"one\n"
    os.close(reader)
    log.close()


@pytest.mark.parametrize("backups", [0, 1, 2])
def test_file_is_not_rotated_away_before_its_follower_has_come_to_it(path: Path, backups: int) -> None:
    log = RotatingLog(str(path), 4, backups)
    emit(log, b"one")
    with following(path):
        emit(log, b"\n", b"two\n", b"three\n", b"four\n")
        assert path.read_bytes() == b"two\nthree\nfour\n"
    emit(log, b"five\nsix\n", b"7")
    expected = [b"one\n", b"two\nthree\nfour\nfive\nsix\n", b"7"]
    assert contents(path) == expected[-1 - backups :]
    log.close()


def test_follower_of_the_newest_file_only_delays_no_rotation(path: Path) -> None:
    log = RotatingLog(str(path), 1, 3)
    for number in range(3):
        with following(path):
            emit(log, b"%d\n" % number)
    assert contents(path) == [b"0\n", b"1\n", b"2\n", b""]
    log.close()


@pytest.mark.parametrize("backups", [0, 2])
def test_follower_can_hold_up_a_rotation_for_some_mebibytes_only(path: Path, backups: int) -> None:
    log = RotatingLog(str(path), 4, backups)
    emit(log, b"one")
    block = b"y" * 1023 + b"\n"
    with following(path) as slow:
        emit(log, b"\n", *[block] * 8 * 1024)
        assert path.stat().st_size == 8 * MIB
        emit(log, block, b"next")
        assert path.read_bytes() == b"next"
        # Once the backups are gone, only this shows that lines between the two are missing.
        assert not os.fstat(slow).st_mode & stat.S_IWUSR
    log.close()


def test_follower_that_keeps_up_is_not_notified_of_missing_lines(path: Path) -> None:
    log = RotatingLog(str(path), 4, 0)
    emit(log, b"one")
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        old = first.enter_context(following(path))
        emit(log, b"\n", b"two\n")
        new = second.enter_context(following(path))
        assert os.fstat(old).st_mode & stat.S_IWUSR
        first.close()
        emit(log, b"three\n", b"four")
        assert os.read(new, 100) == b"two\nthree\n"
        assert os.fstat(new).st_mode & stat.S_IWUSR
    log.close()


def test_nothing_is_kept_open_without_a_reader(path: Path) -> None:
    log = RotatingLog(str(path), 4, 2)
    emit(log, b"one\n")
    assert descriptors_of(path) == 1
    with following(path):
        emit(log, b"two\n")
    assert descriptors_of(path) == 2
    emit(log, b"three\n")
    assert descriptors_of(path) == 1
    with following(path):
        emit(log, b"four\n")
        log.close()
        assert descriptors_of(path) == 1  # the follower's
    assert descriptors_of(path) == 0


def test_lock_that_excludes_others_holds_up_no_more(path: Path) -> None:
    log = RotatingLog(str(path), 4, 2)
    emit(log, b"one")
    with path.open("rb") as rude:
        fcntl.flock(rude, fcntl.LOCK_EX)
        emit(log, b"\n", b"two\n", *[b"z" * 1023 + b"\n"] * 8 * 1024, b"next")
        assert path.read_bytes() == b"next"
    log.close()


def test_fifo_without_a_reader_is_written_again_once_it_has_one(path: Path) -> None:
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = RotatingLog(str(path), 1, 2)
    emit(log, b"one\n", b"two\n")
    assert os.read(reader, 100) == b"one\ntwo\n"
    assert [each.name for each in path.parent.iterdir()] == ["out.log"]
    os.close(reader)
    log.close()


def test_device_is_never_rotated() -> None:
    log = RotatingLog("/dev/null", 1, 0)
    emit(log, b"one\n", b"two\n")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    log.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every folder")
def test_log_in_a_folder_of_another_user_is_emptied(path: Path) -> None:
    log = RotatingLog(str(path), 4, 0)
    path.parent.chmod(0o500)
    try:
        emit(log, b"one\n", b"two")
        assert path.read_bytes() == b"two"
    finally:
        path.parent.chmod(0o700)
        log.close()
