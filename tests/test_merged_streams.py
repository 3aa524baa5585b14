"""``GET logs/stream``: the logs of several programs as they are written."""

from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from daemon_programs.exceptions import TooManyStreams
from daemon_programs.logs.chosen import Choice, ProgramLog
from daemon_programs.logs.merged_stream import MergedLogStream
from daemon_programs.logs.wanted import Wanted
from daemon_programs.streams import descriptors, sse
from daemon_programs.streams.pump import Pump
from daemon_programs.streams.watcher import Watcher
from tests.processes import python, started
from tests.stack import OWN_USER, Api, Stack
from tests.stream_client import StreamClient
from tests.test_log_streams import COUNTS


def stream(stack: Stack, *select: str, **options: Any) -> StreamClient:
    words = "&".join(f"select={word}" for word in select)
    return StreamClient(stack, f"logs/stream?{words}" if words else "logs/stream", **options)


class Written:
    """Two programs whose logs the test writes."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.files = [folder / name for name in ("a.log", "b.log")]
        for file in self.files:
            file.write_text("")
        self.ids = [api.add(stdout_logfile=str(file), name=f"m{file.stem}") for file in self.files]
        self.words = tuple(map(str, self.ids))

    def write(self, number: int, *lines: str) -> None:
        with self.files[number].open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))


@pytest.fixture
def written(api: Api, tmp_path: Path) -> Written:
    return Written(api, tmp_path)


def texts(listener: StreamClient, number: int) -> list[tuple[str, str]]:
    """So many lines, each with its program."""
    found: list[tuple[str, str]] = []
    while len(found) < number:
        found += [(line["program"], line["line"]) for line in listener.until("lines").data["lines"]]
    return found


def test_last_lines_come_merged_and_then_what_is_written(stack: Stack, written: Written) -> None:
    written.write(0, "2026-11-21T18:40:01.000Z one", "2026-11-21T18:40:03.000Z three")
    written.write(1, "2026-11-21T18:40:02.000Z two", "more")
    with stream(stack, *written.words) as listener:
        first = listener.event().data
        assert [line["line"] for line in first["lines"]] == ["one", "two", "more", "three"]
        assert first["lines"][0]["time"] == "2026-11-21T18:40:01.000Z"
        written.write(1, "four")
        [line] = listener.event().data["lines"]
        assert line == {
            "program": "mb",
            "id": written.ids[1],
            "stream": "stdout",
            "time": None,
            "line": "four",
        }
        written.write(0, "five")
        assert texts(listener, 1) == [("ma", "five")]


def test_only_what_is_wanted_is_sent(stack: Stack, written: Written) -> None:
    written.write(0, "old error", "old")
    with stream(stack, *written.words) as listener:
        assert len(listener.event().data["lines"]) == 2
    with StreamClient(
        stack, "logs/stream?select=ma&select=mb&grep=Error&ignore_case=true&lines=5&type=stdout"
    ) as listener:
        assert texts(listener, 1) == [("ma", "old error")]
        written.write(1, *["fine"] * 1000, "an ERROR")
        assert texts(listener, 1) == [("mb", "an ERROR")]


def test_stream_is_resumed_after_any_event_without_loss_or_repetition(
    api: Api, stack: Stack, tmp_path: Path
) -> None:
    stop = tmp_path / "stop"
    ids = [
        api.add(python(COUNTS, str(stop), "0.02"), name=name, log_max_bytes=8000, log_backups=100)
        for name in ("ra", "rb")
    ]
    for id in ids:
        started(api, id)
    had: dict[str, list[int]] = {"ra": [], "rb": []}
    after = None
    is_over = 0
    for turn in range(1000):  # a connection each
        with StreamClient(stack, "logs/stream?select=ra&select=rb&lines=0", after=after) as listener:
            for _ in range(3):
                for line in listener.until("lines").data["lines"]:
                    if line["line"] == "END":
                        is_over += 1
                    else:
                        had[line["program"]].append(int(line["line"].split()[0]))
                if is_over == 2:
                    break
            after = listener.last_id
        if turn == 15:
            stop.touch()
        if is_over == 2:
            break
    for numbers in had.values():
        assert len(numbers) > 1000
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


class Chosen:
    """A choice whose programs the test changes."""

    is_everything = False

    def __init__(self) -> None:
        self.present: list[ProgramLog] = []

    def add(self, path: Path, name: str) -> None:
        self.present.append(ProgramLog(1, name, None, "stdout", str(path), OWN_USER))

    def refresh(self) -> None:
        pass

    def logs(self, type: str) -> list[ProgramLog]:
        return self.present


def test_programs_that_match_later_are_followed_and_removed_ones_let_go(tmp_path: Path) -> None:
    chosen = Chosen()
    first, late = tmp_path / "a.log", tmp_path / "b.log"
    first.write_text("")
    chosen.add(first, "a")
    source = MergedLogStream(cast(Choice, chosen), Wanted(), type="stdout", lines=10)
    source.open()
    with closing(Watcher()) as watcher, closing(source):
        assert b'"lines": []' in source.start(watcher, lambda: None)
        assert source.pull() == b""
        late.write_text("was there\n")
        chosen.add(late, "b")
        source.refresh()
        assert b"was there" in (source.pull() or b"")
        chosen.present = []
        chosen.add(first, "renamed")
        first.write_text("more\n")
        late.write_text("was there\nits end")
        source.refresh()
        told = (source.pull() or b"") + (source.pull() or b"")
        assert b'"program": "renamed"' in told
        assert b"its end" in told
        chosen.present = []
        source.refresh()
        assert source.pull() == b'event: end\ndata: {"reason": "removed"}\n\n'
        assert source.pull() is None


def test_lines_to_begin_with_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon_programs.logs.merged_stream._BACKLOG_BYTES", 1000)
    chosen = Chosen()
    log = tmp_path / "a.log"
    log.write_text(
        "2026-11-21T18:40:01.000Z one\n2026-11-21T18:40:02.000Z two\n" + f"{'x' * 400}\n{'y' * 400}\n"
    )
    chosen.add(log, "a")

    def first(wanted: Wanted) -> str:
        source = MergedLogStream(cast(Choice, chosen), wanted, type="stdout", lines=10)
        source.open()
        with closing(Watcher()) as watcher, closing(source):
            return source.start(watcher, lambda: None).decode()

    assert '"truncated": true' in first(Wanted())
    assert "xxx" not in first(Wanted())
    assert '"line": "two"' in first(Wanted(since="2026-11-21T18:40:02.000Z", text="two"))
    assert '"lines": []' in first(Wanted(since="2026-11-21T18:40:02.000Z", text="one"))


def test_stream_of_many_logs_needs_as_many_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(descriptors, "are_scarce", lambda reserved: asked.append(reserved) or True)
    chosen = Chosen()
    for number in range(7):
        chosen.add(tmp_path / f"{number}.log", "a")
    for source in (
        MergedLogStream(cast(Choice, chosen), Wanted(), type="stdout", lines=10),
        MergedLogStream(cast(Choice, Chosen()), Wanted(), type="stdout", lines=10),
    ):
        with pytest.raises(TooManyStreams):
            Pump(5).admit(source)
    assert asked[0] == asked[1] + 7


def test_positions_of_lines_that_were_not_wanted_are_told_from_time_to_time(tmp_path: Path) -> None:
    chosen = Chosen()
    log = tmp_path / "a.log"
    log.write_text("x\n")
    chosen.add(log, "a")
    source = MergedLogStream(cast(Choice, chosen), Wanted(text="error"), type="stdout", lines=10)
    source.open()
    with closing(Watcher()) as watcher, closing(source):
        source.start(watcher, lambda: None)
        with log.open("a") as file:
            file.write("fine\n")
        assert source.pull() == sse.KEEP_ALIVE
        assert source.pull() == b""
        source.refresh()
        assert (source.pull() or b"").startswith(b"id: 1o-")
        source.refresh()
        assert source.pull() == b""


@pytest.mark.parametrize("after", ["x", "1o-zz", "1o", "1o-1-1-1-1."])
def test_id_of_another_stream_is_refused(api: Api, stack: Stack, after: str) -> None:
    with stream(stack, after=after) as listener:
        assert listener.status == 400
        assert listener.body()["error"] == "Header 'Last-Event-ID' must be the id of an event of this stream"


def test_too_many_logs_and_unknown_words_are_refused(api: Api, stack: Stack) -> None:
    api.add(name="many", numprocs=51)
    with stream(stack, "many") as listener:
        assert listener.status == 400
        assert listener.body()["error"] == (
            "These are 102 logs, and at most 100 are read together: select fewer"
        )
    with stream(stack, "no-such") as listener:
        assert listener.status == 404
