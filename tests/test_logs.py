"""``GET programs/{id}/logs``, and the log files themselves."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.processes import python, shell
from tests.stack import Api, Stack, eventually


def ran(api: Api, command: str, **fields: Any) -> int:
    """Add a program, run it, and wait for its end."""
    id = api.add(command, **fields)
    api.ok(f"programs/{id}/start", {"wait": True})
    api.until(id, "exited")
    return id


def test_answer_has_the_last_lines_and_says_where_they_are(api: Api, stack: Stack) -> None:
    id = ran(api, shell("seq 500; seq 3 >&2"), name="counts")
    answer = api.get(f"programs/{id}/logs").json()
    log = str(stack.folder / "logs" / "counts" / "stdout.log")
    lines = [str(number) for number in range(401, 501)]
    assert answer == {
        "success": True, "logs": "\n".join(lines), "type": "stdout", "lines": 100, "log_file": log,
    }  # fmt: skip
    answer = api.get(f"programs/{id}/logs", type="stderr", lines=2).json()
    assert answer == {
        "success": True, "logs": "2\n3", "type": "stderr", "lines": 2,
        "log_file": log.replace("stdout", "stderr"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "lines", "logs"),
    [
        (b"", 0, ""),
        (b"no end", 1, "no end"),
        (b"one\n", 1, "one"),
        (b"one\ntwo", 2, "one\ntwo"),
        (b"\n", 1, ""),
        (b"one\n\n\n", 3, "one\n\n"),
        (b"\xff\xfe ok \xc3\n", 1, "\ufffd\ufffd ok \ufffd"),
        ("日本 🚀\n".encode(), 1, "日本 🚀"),
        (b"\x00\x1b[31mred\x1b[0m\n", 1, "\x00\x1b[31mred\x1b[0m"),
        (b"%(ENV_PATH)s <b>\n", 1, "%(ENV_PATH)s <b>"),
    ],
)
def test_log_is_read_as_it_was_written(
    api: Api, tmp_path: Path, written: bytes, lines: int, logs: str
) -> None:
    log = tmp_path / "out.log"
    log.write_bytes(written)
    answer = api.get(f"programs/{api.add(stdout_logfile=str(log))}/logs").json()
    assert (answer["lines"], answer["logs"]) == (lines, logs)


@pytest.mark.parametrize("lines", [1, 2, 999, 10000])
def test_number_of_lines_is_that_asked_for(api: Api, tmp_path: Path, lines: int) -> None:
    log = tmp_path / "out.log"
    # Lines of many lengths, so that block limits fall anywhere; a wide character at each end
    text = [f"é{number}" + "x" * (number % 190) + "日" for number in range(20_000)]
    log.write_text("\n".join(text) + "\n")
    answer = api.get(f"programs/{api.add(stdout_logfile=str(log))}/logs", lines=lines).json()
    assert answer["lines"] == lines
    assert answer["logs"].split("\n") == text[-lines:]


def test_lines_longer_than_a_block_are_whole(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    log.write_text("first\n" + "x" * 300_000 + "\n" + "y" * 200_000 + "\n")
    id = api.add(stdout_logfile=str(log))
    assert api.logs(id, lines=1) == "y" * 200_000
    assert api.logs(id, lines=3) == "first\n" + "x" * 300_000 + "\n" + "y" * 200_000


def test_log_that_does_not_exist_yet_is_empty(api: Api, stack: Stack) -> None:
    id = api.add(name="never ran")
    log = stack.folder / "logs" / "never ran" / "stdout.log"
    assert api.get(f"programs/{id}/logs").json() == {
        "success": True, "logs": "", "type": "stdout", "lines": 0, "log_file": str(log),
    }  # fmt: skip


def test_log_of_a_disabled_program_can_be_read(api: Api) -> None:
    id = ran(api, "echo kept")
    api.ok(f"programs/{id}/disable")
    assert api.logs(id) == "kept"


QUERIES = [
    *[({"lines": value}, "Query parameter 'lines' must be an integer between 1 and 10000")
      for value in ("0", "10001", "-1", "x", "", "1.0", "1e2", "٣")],
    *[({"type": value}, "Invalid 'type' value: must be 'stdout' or 'stderr'")
      for value in ("x", "", "STDOUT", "stdout ", "stdin")],
    *[({"port": value}, "Query parameter 'port' must be an integer between 1 and 65535")
      for value in ("0", "65536", "x", "")],
]  # fmt: skip


@pytest.mark.parametrize(("query", "sentence"), QUERIES)
def test_wrong_query_is_refused(api: Api, query: dict[str, str], sentence: str) -> None:
    answer = api.get(f"programs/{api.add()}/logs", **query)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["error"] == sentence


def test_port_of_a_program_without_ports_is_refused(api: Api) -> None:
    id = api.add()
    answer = api.get(f"programs/{id}/logs", port=8000)
    assert answer.status_code == 400
    assert answer.json()["error"] == f"Program with ID {id} has no port range"


def test_output_is_appended_to_over_restarts(api: Api) -> None:
    id = ran(api, "echo again")
    for _ in range(2):
        api.ok(f"programs/{id}/start", {"wait": True})
    assert eventually(lambda: api.logs(id) == "again\nagain\nagain")


def test_last_output_before_the_end_is_kept(api: Api) -> None:
    id = ran(api, python("import os; os.write(1, b'x' * 500_000 + b'\\nend'); os._exit(0)"))
    assert api.logs(id) == "x" * 500_000 + "\nend"


def test_both_streams_may_go_to_one_file(api: Api, tmp_path: Path) -> None:
    log = str(tmp_path / "both.log")
    id = ran(
        api,
        shell("for i in 1 2 3; do echo out $i; echo err $i >&2; done"),
        stdout_logfile=log,
        stderr_logfile=log,
        log_max_bytes=10_000,
    )
    expected = "out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3"
    assert api.logs(id) == expected
    assert api.logs(id, type="stderr") == expected


def test_without_logs_nothing_is_written(api: Api, stack: Stack) -> None:
    id = ran(api, shell("seq 10000; seq 10000 >&2"), name="silent", logs_enabled=False)
    assert api.logs(id) == ""
    assert not (stack.folder / "logs" / "silent").exists()


def test_log_is_rotated_at_its_size_and_so_many_are_kept(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    ran(
        api,
        # A rotation is done after a write; short pauses make many writes of them.
        shell("for i in $(seq 40); do echo $i-0123456789012345678901234567890123456789; sleep 0.01; done"),
        stdout_logfile=str(log),
        log_max_bytes=300,
        log_backups=2,
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.log", "out.log.1", "out.log.2"]
    assert log.with_name("out.log.1").stat().st_size >= 300


def test_size_0_means_that_a_log_is_never_rotated(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    ran(api, shell("seq 100000"), stdout_logfile=str(log), log_max_bytes=0)
    assert [each.name for each in tmp_path.iterdir()] == ["out.log"]
    assert log.read_text().count("\n") == 100_000


def test_without_backups_no_rotated_file_is_kept(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    ran(api, shell("seq 100000"), stdout_logfile=str(log), log_max_bytes=1000, log_backups=0)
    assert [each.name for each in tmp_path.iterdir()] == ["out.log"]
    assert log.stat().st_size < 600_000


# What is no file of its own


@pytest.mark.parametrize("backups", [0, 2])
@pytest.mark.parametrize("device", ["/dev/stdout", "/dev/stderr", "/proc/self/fd/1"])
def test_output_of_the_stack_in_a_file_is_complete_and_not_rotated(
    own_stack: Stack, device: str, backups: int
) -> None:
    own_stack.output_mode = "wb"  # as a shell's `>` opens it
    api = own_stack.start().api
    lines = [f"line {number} of 40" for number in range(40)]
    for script in ("for n in $(seq 0 19)", "for n in $(seq 20 39)"):
        command = shell(script + "; do echo line $n of 40; sleep 0.01; done")
        id = api.add(command, stdout_logfile=device, log_max_bytes=50, log_backups=backups)
        api.ok(f"programs/{id}/start", {"wait": True})
        api.until(id, "exited")
        assert api.logs(id) == ""
    written = own_stack.output.read_text()
    assert [line for line in written.splitlines() if line.startswith("line ")] == lines
    assert "ready: the API" in written
    assert list(own_stack.folder.parent.glob("state.out*")) == [own_stack.output]


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_device_is_left_as_it_is(api: Api, stack: Stack, device: str) -> None:
    before = Path(device).stat()
    id = ran(api, shell("seq 100"), stdout_logfile=device, log_max_bytes=10, log_backups=0)
    assert api.logs(id) == ""
    supervisorctl(stack, "clear", f"program-{id}")
    assert (Path(device).stat().st_ino, Path(device).stat().st_mode) == (before.st_ino, before.st_mode)


def supervisorctl(stack: Stack, *arguments: str) -> str:
    url = f"unix://{stack.folder}/supervisor.sock"
    command = [sys.executable, "-m", "supervisor.supervisorctl", "-s", url, *arguments]
    return subprocess.run(command, cwd=stack.folder, capture_output=True, text=True, timeout=30).stdout


def test_log_that_can_not_be_opened_is_named(api: Api) -> None:
    """Without a terminal, /dev/tty can't be opened, whatever the rights are."""
    id = api.add(stdout_logfile="/dev/tty")
    why = "the log '/dev/tty' can't be opened: no such device or address"
    why = f"its logs or its terminal can't be made: {why}"
    assert api.refused(f"programs/{id}/start", {"wait": True}) == f"Program with ID {id} did not start: {why}"
    assert api.status(id)["last_run"]["error"] == why
    assert api.logs(id) == ""


def test_log_that_can_not_be_read_is_named(api: Api, stack: Stack) -> None:
    path = stack.folder / "logs" / "looped" / "stdout.log"
    path.parent.mkdir(mode=0o755)
    path.symlink_to(path.name)
    answer = api.get(f"programs/{api.add(name='looped')}/logs")
    assert answer.status_code == 503
    assert answer.json() == {
        "success": False,
        "error": f"The log '{path}' can't be read: too many levels of symbolic links",
        "code": "log_unreadable",
    }
