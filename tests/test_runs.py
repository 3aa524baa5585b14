"""How runs end, and what comes after (docs/contract.md, sections 4 and 6): statuses, exit codes, restarts."""

import os
import re
import shutil
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tests.processes import is_root, shell, started
from tests.stack import OTHER_USER, Api, Stack, eventually

LINES = "echo ran"


def count(api: Api, id: int) -> int:
    """How often a program has run that writes a line each time."""
    return api.logs(id, lines=10000).count("ran")


def test_true_is_one_finished_run(api: Api) -> None:
    id = api.add(LINES)
    started_at = datetime.now(UTC).replace(microsecond=0)
    api.ok(f"programs/{id}/start", {"wait": True})
    answer = api.status(id)
    ended_at = answer["last_run"].pop("ended_at")
    assert answer == {
        "success": True,
        "status": {"id": id, "status": "exited"},
        "last_run": {"exit_code": 0, "signal": None, "error": None},
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ended_at)
    assert started_at <= datetime.fromisoformat(ended_at) <= started_at + timedelta(seconds=30)
    later = api.add()
    api.ok(f"programs/{later}/start", {"wait": True})  # longer than a retry would take
    assert count(api, id) == 1
    assert api.word(id) == "exited"


@pytest.mark.parametrize("code", [1, 3, 255])
def test_exit_code_is_kept(api: Api, code: int) -> None:
    id = api.add(shell(f"exit {code}"), autorestart="false")
    api.ok(f"programs/{id}/start")
    last_run = api.until(id, "exited")["last_run"]
    assert (last_run["exit_code"], last_run["signal"], last_run["error"]) == (code, None, None)


def test_exit_code_after_the_first_second_is_kept_too(api: Api) -> None:
    id = api.add(shell("sleep 1.2; exit 3"), autorestart="false")
    api.ok(f"programs/{id}/start")
    assert api.until(id, "exited")["last_run"]["exit_code"] == 3


def test_failure_without_autorestart_is_one_run(api: Api) -> None:
    id = api.add(shell("echo ran; exit 3"), autorestart="false")
    api.ok(f"programs/{id}/start")
    api.until(id, "exited")
    later = api.add()
    api.ok(f"programs/{later}/start", {"wait": True})
    assert count(api, id) == 1


def test_killed_program_shows_the_signal_and_comes_back(api: Api) -> None:
    id = api.add()
    pid = started(api, id)
    assert "last_run" not in api.status(id)
    api.until(id, "running")
    os.kill(pid, signal.SIGKILL)
    answer = eventually(lambda: (now := api.status(id))["status"].get("pid") not in (None, pid) and now)
    assert answer["last_run"]["signal"] == "SIGKILL"
    assert answer["last_run"]["exit_code"] is None
    assert api.until(id, "running")["last_run"]["signal"] == "SIGKILL"


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGSEGV, signal.SIGUSR1])
def test_unrequested_signal_is_reported(api: Api, signum: signal.Signals) -> None:
    id = api.add(autorestart="false")
    os.kill(started(api, id), signum)
    assert api.until(id, "exited")["last_run"]["signal"] == signum.name


def test_real_time_signal_is_reported_by_its_number(api: Api) -> None:
    id = api.add(autorestart="false")
    os.kill(started(api, id), signal.SIGRTMIN + 1)
    assert api.until(id, "exited")["last_run"]["signal"] == f"signal {signal.SIGRTMIN + 1}"


def test_crash_loop_backs_off_and_ends_as_fatal(api: Api) -> None:
    id = api.add(shell("echo ran; exit 3"))
    api.ok(f"programs/{id}/start")
    assert api.until(id, "backoff")["last_run"]["exit_code"] == 3
    assert "pid" not in api.until(id, "backoff")["status"]
    answer = api.until(id, "fatal", timeout=40)
    assert answer["status"] == {"id": id, "status": "fatal"}
    assert answer["last_run"]["exit_code"] == 3
    assert count(api, id) == 4  # the start and three retries
    api.ok(f"programs/{id}/start")  # and it can be started again
    api.until(id, "backoff")


def test_autorestart_true_runs_a_finished_program_again(api: Api) -> None:
    id = api.add(LINES, autorestart="true")
    api.ok(f"programs/{id}/start")
    eventually(lambda: count(api, id) >= 3)
    api.ok(f"programs/{id}/stop")
    assert api.word(id) in ("stopped", "exited")
    assert count(api, id) < 10, "once a second, not in a frenzy"


def test_autorestart_unexpected_leaves_a_finished_program_alone(api: Api) -> None:
    id = api.add(shell("echo ran; sleep 1.2"))
    api.ok(f"programs/{id}/start", {"wait": True})
    api.until(id, "exited")
    later = api.add()
    api.ok(f"programs/{later}/start", {"wait": True})
    assert count(api, id) == 1


def test_autorestart_unexpected_runs_a_failed_program_again(api: Api) -> None:
    id = api.add(shell("echo ran; sleep 1.2; exit 3"))
    api.ok(f"programs/{id}/start", {"wait": True})
    eventually(lambda: count(api, id) >= 2)


def test_last_run_of_a_program_that_runs_is_the_one_before(api: Api, tmp_path: Path) -> None:
    first = tmp_path / "first"
    command = shell('test -e "$1" && exec sleep 1000; touch "$1"; exit 5', str(first))
    id = api.add(command, autorestart="false")
    api.ok(f"programs/{id}/start")
    api.until(id, "exited")
    started(api, id)
    answer = api.status(id)
    assert answer["status"]["pid"]
    assert answer["last_run"]["exit_code"] == 5


def test_program_that_has_vanished_is_fatal_with_the_reason(api: Api, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    id = api.add(str(program))
    pid = started(api, id)
    api.until(id, "running")
    program.unlink()
    os.kill(pid, signal.SIGKILL)
    last_run = api.until(id, "fatal")["last_run"]
    assert last_run["error"] == f"command not found: {program}"
    assert (last_run["exit_code"], last_run["signal"]) == (None, None)


def test_script_without_an_interpreter_is_fatal_with_the_reason(api: Api, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    id = api.add(str(script))
    api.ok(f"programs/{id}/start")
    answer = api.until(id, "fatal")
    assert answer["last_run"]["error"] == (
        f"command can't be run: {script}: its interpreter '/no/such/interpreter' does not exist"
    )


def test_file_that_is_no_program_is_fatal_with_the_reason(api: Api, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"\x7fELF no more than that")
    data.chmod(0o755)
    id = api.add(str(data))
    api.ok(f"programs/{id}/start")
    assert api.until(id, "fatal")["last_run"]["error"] == f"command can't be run: {data}: exec format error"


def test_directory_that_has_vanished_is_fatal_with_the_reason(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    id = api.add(directory=str(folder))
    folder.rmdir()
    sentence = api.refused(f"programs/{id}/start", {"wait": True})
    why = f"Working directory '{folder}' can't be entered: no such file or directory"
    assert sentence == f"Program with ID {id} did not start: {why}"
    assert api.status(id)["last_run"]["error"] == why


@pytest.mark.skipif(not is_root(), reason="it takes root to run programs as another user")
def test_directory_without_rights_is_fatal_with_the_reason(api: Api, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    id = api.add(user=OTHER_USER, directory=str(folder))
    api.ok(f"programs/{id}/start")
    why = f"Working directory '{folder}' can't be entered: permission denied"
    assert api.until(id, "fatal")["last_run"]["error"] == why


def test_log_that_can_not_be_written_is_fatal_with_the_reason(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    id = api.add(stdout_logfile=str(log))
    log.mkdir()
    api.ok(f"programs/{id}/start")
    assert api.until(id, "fatal")["last_run"]["error"] == f"the log is a folder: {log}"


def test_log_folder_that_vanishes_disturbs_no_other_program(api: Api, stack: Stack, tmp_path: Path) -> None:
    """The next rotation into it would end a stock supervisord."""
    folder = tmp_path / "logs"
    busy = shell("while :; do seq 100; sleep 0.01; done")
    id = api.add(busy, stdout_logfile=str(folder / "out.log"), log_max_bytes=1000)
    pid = started(api, id)
    eventually((folder / "out.log.1").exists)
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
    supervisord = psutil.Process(stack.supervisord_pid)
    api.until(id, "running")
    assert api.pid(id) == pid
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert eventually(lambda: api.logs(id))
    assert supervisord.is_running()


def test_uptime_counts_hours_minutes_and_seconds(api: Api) -> None:
    id = api.add()
    started(api, id)
    assert re.fullmatch(r"0:00:0\d", api.status(id)["status"]["uptime"])
    eventually(lambda: api.status(id)["status"]["uptime"] != "0:00:00")
