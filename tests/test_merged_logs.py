"""``GET logs``: the lines of several logs in the order of their times."""

import os
import random
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon_programs.exceptions import Refused
from daemon_programs.logs import merged
from daemon_programs.logs.chosen import ProgramLog
from daemon_programs.logs.cursor import Cursor
from daemon_programs.logs.merged import read
from daemon_programs.logs.positions import LogName, format_positions, parse_positions
from daemon_programs.logs.wanted import Wanted, split_time
from daemon_programs.timestamps import milliseconds
from tests.processes import shell
from tests.stack import OWN_USER, Api, eventually

MEBIBYTE = 1024 * 1024
BEGAN = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)


def at(seconds: float) -> str:
    return milliseconds(BEGAN + timedelta(seconds=seconds))


class Logs:
    """Logs in a folder, each with a program of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all: list[ProgramLog] = []

    def add(self, text: str, *older: str, written: float | None = None) -> Path:
        """Add a log of one file or, with ``older``, of several; ``written`` is when it was last."""
        number = len(self.all) + 1
        path = self._folder / f"{number}.log"
        for backup, content in enumerate((text, *older)):
            file = path.with_name(f"{path.name}.{backup}") if backup else path
            file.write_text(content)
            if written is not None:
                moment = (BEGAN + timedelta(seconds=written)).timestamp()
                os.utime(file, (moment, moment))
        self.all.append(ProgramLog(number, f"p{number}", None, "stdout", str(path), OWN_USER))
        return path

    def read(self, lines: int = 100, **wanted: Any) -> list[str]:
        return [line["line"] for line in read(self.all, Wanted.of(**wanted), lines).lines]


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def stamped(*lines: tuple[float, str]) -> str:
    return "".join(f"{at(seconds)} {text}\n" for seconds, text in lines)


def test_lines_of_several_logs_are_in_the_order_of_their_times(logs: Logs) -> None:
    logs.add(stamped((1, "one"), (4, "four"), (5, "five")))
    logs.add(stamped((2, "two"), (6, "six")), stamped((0, "zero")))
    logs.add(stamped((3, "three")))
    assert logs.read() == ["zero", "one", "two", "three", "four", "five", "six"]
    assert logs.read(3) == ["four", "five", "six"]
    assert logs.read(1) == ["six"]


@pytest.mark.parametrize("text", ["old\n" * 200, stamped((1, "old"))])
def test_a_log_that_was_last_written_before_is_not_missing(logs: Logs, text: str) -> None:
    logs.add(text, written=2)
    logs.add(stamped((6, "new")), written=7)
    assert read(logs.all, Wanted(since=at(5)), 100) == (
        [{"program": "p2", "id": 2, "stream": "stdout", "time": at(6), "line": "new"}],
        [],
        False,
    )


def test_each_line_has_its_log_and_its_time(logs: Logs) -> None:
    logs.add(stamped((1, "one")))
    assert read(logs.all, Wanted(), 10).lines == [
        {"program": "p1", "id": 1, "stream": "stdout", "time": at(1), "line": "one"}
    ]


def test_line_without_a_time_follows_the_line_before_it(logs: Logs) -> None:
    logs.add(stamped((1, "Traceback")) + "  File x\nKeyError\n" + stamped((3, "on")))
    logs.add(stamped((2, "between")))
    assert logs.read() == ["Traceback", "  File x", "KeyError", "between", "on"]
    assert logs.read(3) == ["KeyError", "between", "on"]
    assert [line["time"] for line in read(logs.all, Wanted(), 3).lines] == [None, at(2), at(3)]


def test_lines_before_the_first_time_of_a_file_come_before_it(logs: Logs) -> None:
    logs.add("early\n" + stamped((1, "one")), written=9)
    logs.add(stamped((2, "two")))
    assert logs.read() == ["early", "one", "two"]


def test_file_without_times_stays_together_where_it_was_last_written(logs: Logs) -> None:
    logs.add("a\nb\n", written=2)
    logs.add(stamped((1, "one"), (3, "three")))
    assert logs.read() == ["one", "a", "b", "three"]
    assert logs.read(2) == ["b", "three"]
    assert logs.read(since=BEGAN + timedelta(seconds=2)) == ["a", "b", "three"]
    assert logs.read(since=BEGAN + timedelta(seconds=2.5)) == ["three"]
    assert logs.read(until=BEGAN + timedelta(seconds=1)) == ["one"]


def test_files_without_times_leave_room_for_each_other(logs: Logs) -> None:
    logs.add("".join(f"a{n}\n" for n in range(1000)), written=3)
    logs.add("".join(f"b{n}\n" for n in range(900)), written=2)
    logs.add("c0\nc1\n", written=1)
    logs.add("", written=1)
    shown = logs.read(100)
    assert shown == ["c0", "c1", *(f"b{n}" for n in range(851, 900)), *(f"a{n}" for n in range(951, 1000))]
    assert not read(logs.all, Wanted(), 100).is_truncated
    assert read(logs.all, Wanted(text="b"), 100).is_truncated, "50 are its share, and no other has any"
    logs.add(stamped(*((10 + n, f"t{n}") for n in range(100))))
    assert logs.read(60) == [f"t{n}" for n in range(40, 100)]


def test_share_of_a_log_goes_over_its_files(logs: Logs) -> None:
    logs.add("5\n6\n", "3\n4\n", "1\n2\n", written=1)
    assert logs.read(3) == ["4", "5", "6"]
    assert logs.read(100) == ["1", "2", "3", "4", "5", "6"]


def test_times_bound_what_is_read_from_any_file(logs: Logs) -> None:
    logs.add(stamped((6, "6"), (7, "7")), stamped((4, "4"), (5, "5")), stamped((2, "2"), (3, "3")))
    moment = [BEGAN + timedelta(seconds=seconds) for seconds in range(9)]
    assert logs.read(since=moment[3], until=moment[6]) == ["3", "4", "5", "6"]
    assert logs.read(until=moment[3]) == ["2", "3"]
    assert logs.read(2, until=moment[5]) == ["4", "5"]
    assert logs.read(since=moment[8]) == []


def test_text_is_plain_and_its_case_may_be_ignored(logs: Logs) -> None:
    logs.add(stamped((1, "GET /a.b"), (2, "get /aXb"), (3, "STRASSE"), (4, "straße")))
    assert logs.read(grep="a.b") == ["GET /a.b"]
    assert logs.read(grep="get") == ["get /aXb"]
    assert logs.read(grep="get", ignore_case=True) == ["GET /a.b", "get /aXb"]
    assert logs.read(grep="Straße", ignore_case=True) == ["STRASSE", "straße"]
    assert logs.read(grep="2026") == [], "the time is no part of the line"


@pytest.mark.parametrize("lines", [1, 7, 100, 2500, 10000])
def test_newest_of_many_are_found_whatever_their_number(logs: Logs, lines: int) -> None:
    for offset in (0, 0.001):
        numbers = range(6000)
        split = 4000
        parts = [
            stamped(*((n / 100 + offset, f"{n}") for n in part))
            for part in (numbers[split:], numbers[:split])
        ]
        logs.add(*parts)
    expected = [str(number) for number in range(6000) for _ in "ab"][-lines:]
    assert logs.read(lines) == expected


def test_clock_that_was_set_back_hides_nothing(logs: Logs) -> None:
    logs.add(stamped((5, "five"), (1, "set back"), (6, "six")))
    assert logs.read(since=BEGAN + timedelta(seconds=4)) == ["five", "six"]


def test_work_is_limited_and_an_answer_says_so(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "_MAX_BYTES", 200_000)
    filler = stamped(*((10 + n / 1000, "x" * 70) for n in range(5000)))
    logs.add(filler, stamped((1, "far away")))
    logs.add(stamped((2, "near")))
    cut = read(logs.all, Wanted(text="far"), 10)
    assert (cut.lines, cut.is_truncated) == ([], True)
    # What was not read is older than all that was asked for.
    assert not read(logs.all, Wanted(), 50).is_truncated
    assert not read(logs.all, Wanted(since=at(14.5)), 10000).is_truncated
    monkeypatch.setattr(merged, "_MAX_BYTES", 32 * 1024 * 1024)
    whole = read(logs.all, Wanted(text="a"), 10)
    assert ([line["line"] for line in whole.lines], whole.is_truncated) == (["far away", "near"], False)


def test_a_line_that_is_too_long_comes_in_pieces(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merged, "MAX_LINE_BYTES", 64 * 1024)
    long = "".join(f"{n:8}" for n in range(30_000))
    logs.add(stamped((1, "first"), (2, long), (3, "last")))
    first, *pieces, last = read(logs.all, Wanted(), 10_000).lines
    assert (first["line"], last["line"]) == ("first", "last")
    assert "".join(piece["line"] for piece in pieces) == long
    assert max(len(piece["line"]) for piece in pieces) <= 64 * 1024
    assert [piece["time"] for piece in pieces] == [at(2), *[None] * (len(pieces) - 1)]


def test_answer_has_the_newest_lines_that_have_room(logs: Logs) -> None:
    logs.add(stamped((1, "old"), (2, "x" * 1000), (3, "new")))
    assert [line["line"] for line in read(logs.all, Wanted(), 10, max_json_bytes=600).lines] == ["new"]
    last = read(logs.all, Wanted(text="x"), 10, max_json_bytes=600)
    assert last.is_truncated
    assert 300 < len(last.lines[0]["line"]) < 600


@pytest.mark.parametrize("room", [300, 5_000, 50_000])
def test_lines_without_room_are_not_kept_and_change_nothing(
    logs: Logs, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    chance = random.Random(room)
    for _ in range(5):
        times = sorted(chance.uniform(0, 100) for _ in range(200))
        # Each with a line without a time after it.
        logs.add(stamped(*((time, f"{'x' * chance.randrange(400)}\n{'y' * 50}") for time in times)))
    bounded = read(logs.all, Wanted(), 1000, max_json_bytes=room)
    monkeypatch.setattr(merged._Reader, "_is_full", False)
    monkeypatch.setattr(merged, "_UNSORTED", 1000)
    assert bounded == read(logs.all, Wanted(), 1000, max_json_bytes=room)
    assert 0 < len(bounded.lines) < 1000
    assert bounded.is_truncated


def test_memory_of_a_request_is_bounded_however_long_the_lines_are(logs: Logs) -> None:
    long = "x" * 4000
    logs.add(stamped(*((second, long) for second in range(2500))))
    logs.add(f"{long}\n" * 2500)
    tracemalloc.start()
    try:
        assert read(logs.all, Wanted(), 10_000, max_json_bytes=MEBIBYTE).is_truncated
        assert tracemalloc.get_traced_memory()[1] < 8 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_log_that_cannot_be_read_hides_no_other(logs: Logs, tmp_path: Path) -> None:
    logs.add(stamped((1, "one")))
    link = tmp_path / "link.log"
    link.symlink_to("/etc/passwd")
    missing = str(tmp_path / "none" / "x.log")
    logs.all.append(ProgramLog(8, "linked", None, "stderr", str(link), "nobody"))
    logs.all.append(ProgramLog(9, "missing", None, "stderr", missing, OWN_USER))
    found = read(logs.all, Wanted(), 10)
    assert [line["line"] for line in found.lines] == ["one"]
    [problem] = found.problems
    assert (problem["program"], problem["stream"]) == ("linked", "stderr")
    assert problem["error"].startswith("The log can't be read: ")


def test_more_logs_than_are_read_together_are_refused(logs: Logs) -> None:
    logs.add("")
    merged.check_number(logs.all, 1)
    with pytest.raises(Refused, match="These are 1 logs, and at most 0 are read together"):
        merged.check_number(logs.all, 0)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "2026-11-26T18:03:05.123Z",
        "2026-13-26T18:03:05.123Z x",
        "2026-11-26 18:03:05.123Z x",
        "2026-11-26T24:03:05.123Z x",
    ],
)
def test_what_is_no_time_stays_in_the_line(line: str) -> None:
    assert split_time(line) == (None, line)
    assert split_time(f"2026-11-26T18:03:05.123Z {line}") == ("2026-11-26T18:03:05.123Z", line)


def test_positions_are_a_text_that_can_be_read_back() -> None:
    positions = {
        LogName(1, None, "stdout"): Cursor(2**64 - 1, 2**32 - 1, 2**40, 7),
        LogName(2**53 - 1, ("port", 65535), "stderr"): Cursor(0, 0, 0, 0),
        LogName(3, ("instance", 0), "stdout"): Cursor(1, 2, 3, 4),
    }
    text = format_positions(positions)
    assert parse_positions(text) == positions
    assert parse_positions(format_positions({})) == {}
    for wrong in ("", ".", "1o", text + ".", text.replace("e-", "x-"), text * 100):
        with pytest.raises(ValueError, match=r"^(no position|too long|no cursor)"):
            parse_positions(wrong)


# At a running stack


def lines_of(api: Api, **query: Any) -> list[tuple[str, str, str]]:
    answer = api.get("logs", **query)
    assert answer.status_code == 200, answer.text
    return [(line["program"], line["stream"], line["line"]) for line in answer.json()["lines"]]


def test_programs_are_selected_and_their_streams_merged(api: Api) -> None:
    stop = "; exec sleep 1000"
    web = api.add(
        shell(f"echo one; sleep .05; echo two >&2{stop}"),
        name="lweb",
        labels={"team": "l"},
        log_timestamps=True,
    )
    other = api.add(shell(f"sleep .2; echo I am $0{stop}"), name="lother", numprocs=2, log_timestamps=True)
    for id in (web, other):
        api.ok(f"programs/{id}/start", {"all": True, "wait": True})
    mine = [("lweb", "stdout", "one"), ("lweb", "stderr", "two")]
    eventually(lambda: len(lines_of(api, select=["l*"])) == 4)
    assert lines_of(api, select="team=l") == mine
    assert lines_of(api, select="@running", type="stderr") == mine[1:]
    assert lines_of(api, select=["lweb", str(other)])[:2] == mine
    assert lines_of(api, select="lweb", grep="TW", ignore_case="true") == mine[1:]
    assert lines_of(api, select="lweb", since="1h", until="30m") == []
    [first, *_] = api.get("logs", select="lother").json()["lines"]
    assert first["instance"] in (0, 1)
    assert abs(datetime.fromisoformat(first["time"]).timestamp() - time.time()) < 60


@pytest.mark.parametrize(
    ("query", "code", "sentence"),
    [
        ({"select": ["nothing*"]}, 404, "No program matches 'nothing*'"),
        ({"type": "all"}, 400, "Invalid 'type' value: must be 'stdout', 'stderr' or 'both'"),
        (
            {"since": "5x"},
            400,
            "Query parameter 'since' must be a time such as 2026-01-31T22:00:00Z, or such as",
        ),
        ({"grep": ""}, 400, "Query parameter 'grep' must be 1 to 1000 characters in one line"),
        ({"lines": "0"}, 400, "Query parameter 'lines' must be an integer between 1 and 10000"),
        ({"select": ["x"] * 201}, 400, "Query parameter 'select' must not be given more than 200 times"),
        ({"follow": "true"}, 400, "Unknown query parameter 'follow'"),
        ({"grep": ["a", "b"]}, 400, "Query parameter 'grep' must be given only once"),
    ],
)
def test_bad_queries_are_refused(api: Api, query: dict[str, Any], code: int, sentence: str) -> None:
    answer = api.get("logs", **query)
    assert answer.status_code == code
    assert answer.json()["error"].startswith(sentence)
