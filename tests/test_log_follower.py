"""A log is read on as it is written: each line once and in order, whatever happens to its files."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from daemon_programs.logs.cursor import BEGINNING, Cursor
from daemon_programs.logs.follower import Follower, Line, LogEvent, Opened, Problem, Reset
from daemon_programs.supervisor.plugin.io.output import RotatingLog
from tests.stack import OWN_USER


class Log:
    """A log that the plugin writes, and its followers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.followers: list[Follower] = []
        self._writer: RotatingLog | None = None

    def rotated(self, max_bytes: int, backups: int) -> "Log":
        self._writer = RotatingLog(str(self.path), max_bytes, backups)
        return self

    def write(self, *chunks: bytes) -> None:
        for chunk in chunks:
            if self._writer is not None:
                self._writer.emit(SimpleNamespace(msg=chunk))
            else:
                with self.path.open("ab") as file:
                    file.write(chunk)

    def follow(self, lines: int = 0, after: Cursor | None = None) -> Follower:
        follower = Follower(str(self.path), OWN_USER)
        self.followers.append(follower)
        follower.open(lines, after)
        return follower

    def close(self) -> None:
        for follower in self.followers:
            follower.close()
        if self._writer is not None:
            self._writer.close()
        here = str(self.path.parent)
        assert not [file for file in psutil.Process().open_files() if file.path.startswith(here)]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "out.log")
    yield log
    log.close()


def read_events(follower: Follower) -> list[LogEvent]:
    """Return all events that are available."""
    news: list[LogEvent] = []
    while more := follower.next_events():
        news += more
    return news


def texts(news: list[LogEvent]) -> list[str]:
    return [each.text for each in news if isinstance(each, Line)]


def resets(news: list[LogEvent]) -> list[tuple[str, bool]]:
    return [(each.reason, each.missed) for each in news if isinstance(each, Reset)]


def place(news: list[LogEvent]) -> Cursor | None:
    """Where a client would go on."""
    return [each.cursor for each in news if not isinstance(each, Problem) and each.cursor is not None][-1]


# Beginning


@pytest.mark.parametrize(
    ("written", "lines", "expected", "offset"),
    [
        (b"", 5, [], 0),
        (b"one\ntwo\nthree\n", 2, ["two", "three"], 4),
        (b"one\ntwo\nthree\n", 3, ["one", "two", "three"], 0),
        (b"one\ntwo\nthree\n", 10000, ["one", "two", "three"], 0),
        (b"one\ntwo\nthree\n", 0, [], 14),
        (b"one\ntwo\nthr", 2, ["two"], 4),
        (b"one\ntwo\nthr", 0, [], 8),
        (b"\n\n\n", 2, ["", ""], 1),
        (b"x" * 70_000 + b"\n" + b"y" * 70_000 + b"\n", 1, ["y" * 70_000], 70_001),
        (b"x" * 70_000 + b"\n" + b"y" * 70_000, 0, [], 70_001),
        (b"one\r\ntwo\r\n", 2, ["one", "two"], 0),
        (b"\xff\xfe ok \xc3\n", 1, ["\ufffd\ufffd ok \ufffd"], 0),
        ("日本 🚀\u2028x\n".encode(), 1, ["日本 🚀\u2028x"], 0),
    ],
)
def test_it_starts_so_many_lines_before_the_end(
    log: Log, written: bytes, lines: int, expected: list[str], offset: int
) -> None:
    log.write(written)
    news = read_events(log.follow(lines))
    assert isinstance(news[0], Opened)
    assert (news[0].exists, news[0].offset) == (True, offset)
    assert texts(news) == expected
    assert all(isinstance(each, Line) for each in news[1:])


def test_lines_come_with_where_they_end(log: Log) -> None:
    log.write("é\nzwei\n".encode())
    lines = [each for each in read_events(log.follow(10)) if isinstance(each, Line)]
    assert [each.offset for each in lines] == [3, 8]


def test_line_is_sent_when_it_is_complete(log: Log) -> None:
    log.write(b"whole\nhal")
    follower = log.follow()
    assert texts(read_events(follower)) == []
    log.write(b"f\nnext")
    assert texts(read_events(follower)) == ["half"]
    log.write(b"\n")
    assert texts(read_events(follower)) == ["next"]


def test_characters_are_whole_however_they_were_written(log: Log) -> None:
    follower = log.follow()
    for byte in "🚀日é\n".encode():
        log.write(bytes([byte]))
        news = read_events(follower)
    assert texts(news) == ["🚀日é"]


def test_log_that_appears_later_is_read_from_its_beginning(log: Log) -> None:
    log.path = log.path.parent / "not" / "there" / "yet.log"
    follower = log.follow(100)
    first = read_events(follower)
    assert first == [Opened(False, 0, BEGINNING)]
    log.path.parent.mkdir(parents=True)
    log.write(b"first\n")
    news = read_events(follower)
    assert isinstance(news[0], Opened)
    assert news[0].exists
    assert texts(news) == ["first"]


def test_follower_that_waited_for_a_log_misses_nothing(log: Log) -> None:
    read_events(log.follow())
    log.write(b"one\ntwo\n")
    news = read_events(log.follow(0, BEGINNING))
    assert (texts(news), resets(news)) == (["one", "two"], [])


# Rotation


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_rotations_lose_and_repeat_nothing(log: Log, backups: int) -> None:
    log.rotated(50, backups)
    log.write(b"0\n")
    follower = log.follow()
    news = read_events(follower)
    for number in range(1, 500):
        log.write(b"%d\n" % number)
        news += read_events(follower)
    assert texts(news) == [str(number) for number in range(1, 500)]
    assert len(resets(news)) > 20
    assert set(resets(news)) == {("rotated", False)}


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_follower_that_comes_late_finds_everything(log: Log, backups: int) -> None:
    """It holds up the rotation, and what has been rotated away meanwhile is still open."""
    log.rotated(50, backups)
    log.write(b"0\n")
    follower = log.follow()
    news: list[LogEvent] = []
    for number in range(1, 3000):
        log.write(b"%d\n" % number)
        if number % 700 == 0:
            news += read_events(follower)
    news += read_events(follower)
    assert texts(news) == [str(number) for number in range(1, 3000)]
    assert {missed for _, missed in resets(news)} == {False}


def test_line_that_goes_on_in_the_next_file_is_one(log: Log) -> None:
    log.rotated(1000, 2)
    log.write(b"begun ")
    follower = log.follow()
    log.write(b"x" * 1_050_000, b"y" * 100 + b"\nnext\n")
    news = read_events(follower)
    whole = b"begun " + b"x" * 1_050_000 + b"y" * 100
    assert "".join(texts(news)[:-1]) == whole.decode()
    assert texts(news)[-1] == "next"


@pytest.mark.parametrize("backups", [0, 3])
def test_slow_follower_is_notified_that_lines_may_be_missing(log: Log, backups: int) -> None:
    log.rotated(100_000, backups)
    log.write(b"0\n")
    follower = log.follow()
    read_events(follower)
    log.write(*[b"%01023d\n" % number for number in range(1, 10_000)], b"last\n")
    news = read_events(follower)
    assert texts(news)[-1] == "last"
    assert resets(news)[0] == ("rotated", True)
    assert len(set(texts(news))) == len(texts(news)) < 10_000


def test_slow_follower_finds_what_the_backups_still_have(log: Log) -> None:
    log.rotated(1000, 3)
    log.write(b"0\n")
    follower = log.follow()
    read_events(follower)
    numbers = [b"%01023d\n" % number for number in range(1, 8196)]  # a little more than it is waited for
    log.write(*numbers)
    assert log.path.stat().st_size < 5000
    news = read_events(follower)
    assert [int(text) for text in texts(news)] == list(range(1, 8196))
    assert set(resets(news)) == {("rotated", False)}


def test_old_backups_are_not_read_again(log: Log) -> None:
    for number in (1, 2):
        log.path.with_name(f"out.log.{number}").write_text(f"old {number}\n")
    log.rotated(50, 0)
    log.write(b"0\n")
    follower = log.follow()
    news = read_events(follower)
    for number in range(1, 100):
        log.write(b"%d\n" % number)
        news += read_events(follower)
    assert texts(news) == [str(number) for number in range(1, 100)]


def test_log_that_was_removed_is_followed_when_there_is_a_new_one(log: Log) -> None:
    log.write(b"one\n")
    follower = log.follow(10)
    assert texts(read_events(follower)) == ["one"]
    with log.path.open("ab") as old:
        log.path.unlink()
        old.write(b"still written\n")
    assert texts(read_events(follower)) == ["still written"]
    log.write(b"new\n")
    news = read_events(follower)
    assert (texts(news), resets(news)) == (["new"], [("rotated", False)])


@pytest.mark.parametrize("is_replaced", [False, True], ids=["renamed", "renamed and replaced"])
def test_log_that_logrotate_renames_is_followed_line_by_line(log: Log, is_replaced: bool) -> None:
    log.rotated(0, 0).write(b"one\n")
    follower = log.follow(10)
    read_events(follower)
    had: list[str] = []
    for number in range(3):
        log.write(b"%d before\n" % number)
        for old in (2, 1):
            if (rotated := log.path.with_name(f"out.log.{old}")).exists():
                rotated.rename(log.path.with_name(f"out.log.{old + 1}"))
        log.path.rename(log.path.with_name("out.log.1"))
        if is_replaced:
            log.path.touch(0o600)
        log.write(b"%d after\n" % number)
        news = read_events(follower)
        assert resets(news) == [("rotated", False)]
        had += texts(news)
    assert had == [f"{number} {when}" for number in range(3) for when in ("before", "after")]


def test_log_that_was_moved_away_may_have_been_written_meanwhile(log: Log) -> None:
    log.write(b"one\n")
    follower = log.follow(10)
    read_events(follower)
    log.path.rename(log.path.with_name("out-20261121.log"))
    log.write(b"new\n")
    news = read_events(follower)
    assert (texts(news), resets(news)) == (["new"], [("rotated", True)])


# Truncation


@pytest.mark.parametrize("after", [b"", b"a\n", b"longer than before\nand more\n"])
def test_emptied_log_is_read_from_its_beginning(log: Log, after: bytes) -> None:
    log.write(b"one\ntwo\nunfinished")
    follower = log.follow(10)
    assert texts(read_events(follower)) == ["one", "two"]
    log.path.write_bytes(after)  # which empties it first
    news = read_events(follower)
    assert resets(news) == [("truncated", True)]
    assert texts(news) == ["unfinished", *after.decode().splitlines()]
    log.write(b"next\n")
    assert texts(read_events(follower)) == ["next"]


# Going on


def test_resuming_starts_right_after_a_line(log: Log) -> None:
    log.write(b"one\ntwo\nthree\n")
    lines = [each for each in read_events(log.follow(10)) if isinstance(each, Line)]
    news = read_events(log.follow(10, lines[0].cursor))
    assert texts(news) == ["two", "three"]
    assert isinstance(news[0], Opened)
    assert news[0].offset == 4
    assert texts(read_events(log.follow(10, lines[2].cursor))) == []


def test_going_on_finds_the_file_under_its_new_name(log: Log) -> None:
    log.rotated(8, 3)
    log.write(b"1\n2\n")
    cursor = place(read_events(log.follow(10)))
    log.write(b"3\n4\n", b"5\n6\n7\n8\n", b"9\n")
    news = read_events(log.follow(10, cursor))
    assert texts(news) == ["3", "4", "5", "6", "7", "8", "9"]
    assert set(resets(news)) == {("rotated", False)}


def test_resuming_after_all_files_have_gone_starts_with_the_oldest(log: Log) -> None:
    log.rotated(8, 1)
    log.write(b"1\n2\n")
    first = log.follow(10)
    cursor = place(read_events(first))
    first.close()
    for number in range(3, 20):
        log.write(b"%d\n" % number)
    kept = b"".join(log.path.with_name(name).read_bytes() for name in ("out.log.1", "out.log"))
    news = read_events(log.follow(10, cursor))
    assert texts(news) == kept.decode().split()
    assert resets(news)[0] == ("rotated", True)


def test_resuming_without_any_file_reports_that_lines_may_be_missing(log: Log) -> None:
    log.write(b"one\n")
    first = log.follow(10)
    cursor = place(read_events(first))
    first.close()
    log.path.unlink()
    news = read_events(log.follow(10, cursor))
    assert [(each.exists, each.offset) for each in news if isinstance(each, Opened)] == [(False, 0)]
    assert resets(news) == [("rotated", True)]
    log.write(b"two\n")
    again = read_events(log.follow(10, place(news)))
    assert (texts(again), resets(again)) == (["two"], [])


def test_going_on_in_a_log_that_was_emptied(log: Log) -> None:
    log.write(b"one\ntwo\n")
    cursor = place(read_events(log.follow(10)))
    log.path.write_bytes(b"new\n")
    news = read_events(log.follow(10, cursor))
    assert (texts(news), resets(news)) == (["new"], [("truncated", True)])


def test_going_on_in_another_file_of_the_same_inode(log: Log) -> None:
    """The lines are equal, so that only the inode's generation distinguishes the files."""
    log.write(b"tick\n" * 10)
    cursor = place(read_events(log.follow(10)))
    assert cursor is not None
    if not cursor.generation:
        pytest.skip("this file system does not count")
    log.followers[0].close()
    inode = log.path.stat().st_ino
    log.path.unlink()
    log.write(b"tick\n" * 20)
    if log.path.stat().st_ino != inode:
        pytest.skip("the inode was not given again")
    news = read_events(log.follow(10, cursor))
    assert (len(texts(news)), resets(news)) == (20, [("rotated", True)])


def test_going_on_within_a_line_that_spans_files_has_it_whole(log: Log) -> None:
    log.write(b"one\nbegun ")
    follower = log.follow(10)
    news = read_events(follower)
    log.path.rename(log.path.with_name("out.log.1"))
    log.write(b"and ended\n")
    news += read_events(follower)
    assert texts(news) == ["one", "begun and ended"]
    cursors = [each.cursor for each in news if isinstance(each, Reset)]
    assert cursors == [None]  # it would be half of it that follows
    after_first = next(each.cursor for each in news if isinstance(each, Line))
    assert texts(read_events(log.follow(0, after_first))) == ["begun and ended"]


@pytest.mark.parametrize("backups", [2, 5])
@pytest.mark.parametrize("seed", range(8))
def test_client_that_reconnects_gets_every_line_once(log: Log, seed: int, backups: int) -> None:
    """Chunks of any size, clients that leave anywhere in between and come back soon enough."""
    chance = random.Random(seed)
    log.rotated(chance.choice([1, 300, 5000]), backups)
    text = b"".join(b"%d %s\n" % (number, b"x" * chance.randrange(60)) for number in range(3000))
    expected = text.decode().splitlines()
    log.write(b"")
    follower = log.follow(0)
    cursor = place(read_events(follower))
    had: list[str] = []
    while text:
        size = chance.randrange(1, 400)
        log.write(text[:size])
        text = text[size:]
        news = follower.next_events()
        part = news[: chance.randrange(len(news) + 1)] if chance.random() < 0.1 else news
        assert not any(missed for _, missed in resets(part))
        had += texts(part)
        cursor = place(part) if any(getattr(each, "cursor", None) for each in part) else cursor
        if len(part) < len(news) or chance.random() < 0.1:
            follower.close()
            follower = log.follow(0, cursor)
    had += texts(read_events(follower))
    assert had == expected


# What can't be read


def test_fifo_has_no_lines_and_is_not_opened(log: Log) -> None:
    os.mkfifo(log.path)
    follower = log.follow(10)
    assert read_events(follower) == [Opened(True, 0, None)]
    with pytest.raises(OSError, match="No such device"):  # it has no reader
        os.open(log.path, os.O_WRONLY | os.O_NONBLOCK)


def test_device_and_folder_have_no_lines(log: Log) -> None:
    log.path.symlink_to("/dev/null")
    assert read_events(log.follow(10)) == [Opened(True, 0, None)]
    log.path.unlink()
    log.path.mkdir()
    assert read_events(log.follow(10)) == [Opened(True, 0, None)]


def test_what_can_not_be_read_is_said_once(log: Log) -> None:
    log.path.symlink_to(log.path)
    follower = log.follow(10)
    news = read_events(follower)
    assert [type(each) for each in news] == [Opened, Problem]
    assert "symbolic links" in news[1].sentence  # type: ignore[union-attr]
    assert read_events(follower) == []
    log.path.unlink()
    log.write(b"now\n")
    assert texts(read_events(follower)) == ["now"]


# Bounds


def test_very_long_line_comes_in_pieces_of_whole_characters(log: Log) -> None:
    line = "日🚀é" * 400_000
    log.write(line.encode() + b"\nnext\n")
    pieces = texts(read_events(log.follow(10)))
    assert pieces[-1] == "next"
    assert "".join(pieces[:-1]) == line
    assert len(pieces) > 3
    assert all(len(piece.encode()) < 1_200_000 for piece in pieces)


def test_a_turn_has_an_end(log: Log) -> None:
    log.write(b"\n" * 100_000)
    follower = log.follow(10_000)
    follower.next_events()  # the opening
    sizes = []
    while news := follower.next_events():
        sizes.append(len(news))
    assert sum(sizes) == 10_000
    assert max(sizes) <= 200


def test_slow_follower_keeps_only_some_files_open(log: Log) -> None:
    log.rotated(1, 100)
    log.write(b"0\n")
    follower = log.follow()
    read_events(follower)
    for number in range(60):
        log.path.rename(log.path.with_name(f"kept.{number}"))  # outside of the handshake
        log.write(b"x\n")
        log.path.write_bytes(b"x\n")
        follower._open_newer_files()
    here = str(log.path.parent)
    assert len([file for file in psutil.Process().open_files() if file.path.startswith(here)]) < 12


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "1-2-3", "1-2-3-4-5", "-1-2-3-4", "1-2-3-4 ", "g-0-0-0", "1-2-3-٣", "0x1-0-0-0"),
        *("1-123456789-0-0", "1" * 17 + "-0-0-0", "1-0-0-0\n"),
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        Cursor.parse(text)


def test_cursor_reads_back(log: Log) -> None:
    log.write(b"x" * 100 + b"\n")
    cursor: Any = place(read_events(log.follow(1)))
    assert Cursor.parse(str(cursor)) == cursor
