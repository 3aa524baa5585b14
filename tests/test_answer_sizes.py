"""Answers with what programs have written are bounded by their own size: at most 4 MiB of JSON."""

import time
from pathlib import Path

import pytest

from daemon_programs.logs.tail import MAX_JSON_BYTES, Tail, tail
from tests.stack import OWN_USER, Api
from tests.temporary_programs import Quick

LIMIT = 4 * 1024 * 1024
NUMBERED = b"".join(b"%07d\x01\x02\x1b\x00\xff\xe2\x80\xa8\n" % number for number in range(400_000))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "out.log"


def test_lines_that_fit_are_returned_whole(log: Path) -> None:
    log.write_bytes(b"one\ntwo\r\nthree\n")
    assert tail(str(log), 2, OWN_USER) == Tail(["two", "three"])
    assert tail(str(log), 9, OWN_USER) == Tail(["one", "two", "three"])


@pytest.mark.parametrize(("room", "kept"), [(100, 3), (15, 3), (14, 2), (10, 2), (9, 1), (5, 1), (4, 0)])
def test_newest_lines_win(log: Path, room: int, kept: int) -> None:
    """In JSON each line has five bytes: its three letters, and its line break or the quotes."""
    log.write_bytes(b"aaa\nbbb\nccc\n")
    found = tail(str(log), 3, OWN_USER, room)
    assert found.is_truncated is (kept < 3)
    assert found.lines == (["aaa", "bbb", "ccc"][-kept:] if kept else ["cc"])


@pytest.mark.parametrize(
    "content",
    [b"\x01" * 20_000_000, b"\xff" * 20_000_000, b'"' * 20_000_000, NUMBERED, b"\xe2\x80\xa8" * 5_000_000],
    ids=["control characters", "no text", "quotes", "lines", "separators"],
)
def test_answer_has_at_most_four_mebibytes(api: Api, log: Path, content: bytes) -> None:
    log.write_bytes(content)
    id = api.add(stdout_logfile=str(log))
    began = time.monotonic()
    answer = api.get(f"programs/{id}/logs", lines=10000)
    assert time.monotonic() - began < 20
    assert answer.status_code == 200
    assert len(answer.content) <= LIMIT
    told = answer.json()
    if content is not NUMBERED:
        assert told["truncated"] is True
        assert told["lines"] == 1
        assert len(answer.content) > MAX_JSON_BYTES - 1024  # as much as has room
    assert told["lines"] == len(told["logs"].split("\n"))
    assert content.decode(errors="replace").rstrip("\n").endswith(told["logs"])


def test_page_is_bounded_too(api: Api, log: Path) -> None:
    log.write_bytes(b'<"&\x01 www.x.y http://a/' * 500_000 + b"\nlast line\n")
    id = api.add(stdout_logfile=str(log))
    began = time.monotonic()
    page = api.session.get(
        f"{api.base}/programs/{id}/logs", params={"lines": 10000}, headers={"Accept": "text/html"}, timeout=60
    )
    assert time.monotonic() - began < 20
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert len(page.content) < LIMIT
    assert "last line" in page.text


def test_page_of_a_long_list_is_cut(api: Api) -> None:
    for _ in range(6):
        api.add(environment={"A": "<" * 120_000})
    page = api.session.get(f"{api.base}/programs", headers={"Accept": "text/html"}, timeout=60)
    assert len(page.content) < LIMIT
    assert "characters more" in page.text


def test_output_of_a_quick_start_is_bounded(quick: Quick, api: Api) -> None:
    both = "head -c 6000000 /dev/zero | tr '\\0' '\\1'; head -c 6000000 /dev/zero | tr '\\0' '\\1' >&2"
    command = f'sh -c "{both.replace(chr(92), chr(92) * 4)}"'
    answer = api.post(
        "quick-start", {"command": command, "user": OWN_USER, "wait": "exit", "autorestart": "false"}
    )
    assert answer.status_code == 200
    told = answer.json()
    assert told["truncated"] is True
    assert len(told["stdout"]) > 300_000
    assert len(told["stderr"]) > 300_000
    assert len(answer.content) <= LIMIT


def test_answer_that_is_whole_does_not_say_truncated(api: Api, log: Path) -> None:
    log.write_bytes(b"x" * 100 + b"\n")
    id = api.add(stdout_logfile=str(log))
    assert "truncated" not in api.get(f"programs/{id}/logs").json()
