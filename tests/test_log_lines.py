"""``log_timestamps`` and ``redirect_stderr``: what stands in the logs of a program."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon_programs.supervisor.plugin.io import timestamps
from daemon_programs.supervisor.plugin.io.timestamps import LineStamper
from tests.processes import shell
from tests.stack import Api, eventually
from tests.temporary_programs import Quick

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def without_times(text: str) -> str:
    """Remove the time from each line, which must have one."""
    lines = text.splitlines(keepends=True)
    assert all(re.match(rf"{TIME} ", line) for line in lines), text
    return "".join(re.sub(rf"^{TIME} ", "", line) for line in lines)


def ran(api: Api, script: str, **fields: object) -> int:
    """Run a script to its end, and return the program's id."""
    id = api.add(shell(script), autorestart="false", **fields)
    api.ok(f"programs/{id}/start")
    api.until(id, "exited")
    return id


# Times, in pieces


@pytest.fixture
def stamper(monkeypatch: pytest.MonkeyPatch) -> LineStamper:
    clock = iter(range(100))
    monkeypatch.setattr(timestamps.time, "time", lambda: 1_795_629_785.1239 + next(clock))
    return LineStamper()


AT = [f"2026-11-25T18:03:0{second}.123Z ".encode() for second in range(5, 10)]
PIECES: list[tuple[list[bytes], list[bytes]]] = [
    ([b"one\n"], [AT[0] + b"one\n"]),
    ([b"one\ntwo\n"], [AT[0] + b"one\n" + AT[0] + b"two\n"]),
    ([b"one\n", b"two\n"], [AT[0] + b"one\n", AT[1] + b"two\n"]),
    ([b"on", b"e", b"\n", b"two"], [AT[0] + b"on", b"e", b"\n", AT[3] + b"two"]),
    ([b"on", b"e\ntwo"], [AT[0] + b"on", b"e\n" + AT[1] + b"two"]),
    ([b"\n", b"\n\n"], [AT[0] + b"\n", AT[1] + b"\n" + AT[1] + b"\n"]),
    ([b"a\r\n\xff\0\n"], [AT[0] + b"a\r\n" + AT[0] + b"\xff\0\n"]),
]


@pytest.mark.parametrize(("pieces", "stamped"), PIECES)
def test_line_has_the_time_of_its_first_byte(
    stamper: LineStamper, pieces: list[bytes], stamped: list[bytes]
) -> None:
    assert [stamper.stamp(piece) for piece in pieces] == stamped


# Times, in logs


def test_each_line_of_both_logs_begins_with_its_time(api: Api) -> None:
    before = datetime.now(UTC)
    id = ran(api, "echo one; echo oops >&2; sleep 1.2; printf 'two\\n\\nend'", log_timestamps=True)
    text = api.logs(id)
    assert without_times(text) == "one\ntwo\n\nend"
    assert without_times(api.logs(id, type="stderr")) == "oops"
    first, second, *_ = (datetime.fromisoformat(line.split(" ")[0]) for line in text.splitlines())
    assert before.timestamp() - 0.001 <= first.timestamp()
    assert 1 <= (second - first).total_seconds() < 10


def test_line_that_is_written_in_parts_is_one_line(api: Api) -> None:
    id = ran(api, "printf 'a '; sleep 0.3; printf 'b '; sleep 0.3; echo c", log_timestamps=True)
    assert without_times(api.logs(id)) == "a b c"


def test_run_after_an_unfinished_line_begins_a_line(api: Api) -> None:
    id = ran(api, "printf unfinished", log_timestamps=True)
    api.ok(f"programs/{id}/start")
    lines = eventually(lambda: len(found := api.logs(id).splitlines()) == 2 and found)
    assert without_times("\n".join(lines)) == "unfinished\nunfinished"


def test_rotated_files_have_whole_lines(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    script = 'n=0; while [ $n -lt 200 ]; do n=$((n+1)); printf "line "; echo "$n"; sleep 0.005; done'
    ran(api, script, log_timestamps=True, stdout_logfile=str(log), log_max_bytes=2000, log_backups=100)
    files = sorted(tmp_path.iterdir(), key=lambda file: -int(file.suffix[1:] if file != log else 0))
    assert len(files) > 2
    assert all(file.read_bytes().endswith(b"\n") for file in files if file != log)
    text = "".join(without_times(file.read_text()) for file in files)
    assert text == "".join(f"line {n}\n" for n in range(1, 201))


def test_each_instance_has_its_own_lines(api: Api) -> None:
    ports = {"start": 21520, "end": 21521}
    id = api.add(shell("echo $1; exec sleep 1000", "{port}"), port_range=ports, log_timestamps=True)
    api.ok(f"programs/{id}/start", {"all": True})
    for port in (21520, 21521):
        eventually(lambda port=port: api.logs(id, port=port))
        assert without_times(api.logs(id, port=port)) == str(port)


def test_lines_have_no_time_without_it(api: Api) -> None:
    assert api.logs(ran(api, "echo one")) == "one"


def test_change_restarts_what_runs(api: Api) -> None:
    id = api.add(shell("echo one; exec sleep 1000"))
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/edit/{id}", {"log_timestamps": True})
    lines = eventually(lambda: len(found := api.logs(id).splitlines()) == 2 and found)
    assert lines[0] == "one"
    assert without_times(lines[1]) == "one"


def test_log_of_a_temporary_program_has_times(quick: Quick) -> None:
    answer = quick.launch("echo one", wait="exit", log_timestamps=True)
    assert without_times(answer["stdout"]) == "one"


def test_dropped_output_needs_no_time(api: Api) -> None:
    id = ran(api, "echo one", log_timestamps=True, logs_enabled=False)
    assert api.logs(id) == ""


def test_stamping_a_flood_of_lines_takes_no_time() -> None:
    """supervisord reads at most 128 KiB at once; what it does with them keeps everybody else waiting."""
    stamper = LineStamper()
    begun = time.process_time()
    for _ in range(10):
        stamper.stamp(b"\n" * 131_072)
    assert (time.process_time() - begun) / 10 < 0.02


# One log for both


def test_standard_error_joins_standard_output_in_order(api: Api, tmp_path: Path) -> None:
    other = tmp_path / "err.log"
    script = "echo one; echo two >&2; echo three"
    id = ran(api, script, redirect_stderr=True, stderr_logfile=str(other), log_timestamps=True)
    assert without_times(api.logs(id)) == "one\ntwo\nthree"
    assert api.logs(id, type="stderr") == ""
    assert not other.exists()


def test_change_of_it_restarts_what_runs(api: Api) -> None:
    id = api.add(shell("echo one >&2; exec sleep 1000"))
    api.ok(f"programs/{id}/start", {"wait": True})
    assert eventually(lambda: api.logs(id, type="stderr")) == "one"
    api.ok(f"programs/edit/{id}", {"redirect_stderr": True})
    assert eventually(lambda: api.logs(id)) == "one"
    assert api.logs(id, type="stderr") == "one"


def test_it_means_nothing_in_a_terminal(api: Api) -> None:
    id = ran(api, "echo one; echo two >&2", redirect_stderr=True, terminal_id=4102, terminal_shell="sh")
    assert api.logs(id) == "one\ntwo"


def test_temporary_program_has_one_log(quick: Quick) -> None:
    answer = quick.launch(shell("echo one; echo two >&2"), wait="exit", redirect_stderr=True)
    assert (answer["stdout"], answer["stderr"]) == ("one\ntwo", "")
