"""How temporary programs end, by themselves or stopped, and what is left of them: a record."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.processes import is_root, python, shell
from tests.stack import OTHER_USER, Stack, eventually
from tests.temporary_programs import FORKS, Quick, created, forked, log_folders, timestamp, tree

STOPPED = {"success": True, "cleaned_up": True, "message": "Program stopped and configuration removed"}


def last_run(answer: dict[str, Any]) -> tuple[Any, Any, Any]:
    assert set(answer["last_run"]) == {"exit_code", "signal", "error", "ended_at"}
    return tuple(answer["last_run"][key] for key in ("exit_code", "signal", "error"))  # type: ignore[return-value]


def runs(quick: Quick, id: str) -> int:
    """How often a program has run that writes ``ran`` each time."""
    return quick.logs(id, lines=10000).count("ran")


# By themselves


@pytest.mark.parametrize("autorestart", ["unexpected", "false"])
def test_clean_exit_is_final_and_the_program_is_never_run_twice(quick: Quick, autorestart: str) -> None:
    id = quick.run("echo ran", autorestart=autorestart)
    answer = quick.ended(id)
    assert answer["status"] == "exited"
    assert last_run(answer) == (0, None, None)
    assert int(created(id)) <= timestamp(answer["last_run"]["ended_at"]) <= datetime.now(UTC).timestamp()
    assert set(answer) == {"success", "temporary_id", "name", "status", "created_at", "last_run"}
    eventually(lambda: quick.is_cleaned_up(id))
    quick.launch("sleep 1000", wait=True)  # longer than a retry would take
    assert runs(quick, id) == 1
    assert quick.status(id) == answer


def test_clean_exit_after_the_first_second_is_final_too(quick: Quick) -> None:
    id = quick.run(shell("echo ran; sleep 1.2"))
    assert last_run(quick.ended(id)) == (0, None, None)
    quick.launch("sleep 1000", wait=True)
    assert runs(quick, id) == 1


@pytest.mark.parametrize("code", [1, 3, 255])
def test_failure_without_autorestart_is_final(quick: Quick, code: int) -> None:
    id = quick.run(shell(f"echo ran; exit {code}"), autorestart="false")
    answer = quick.ended(id)
    assert answer["status"] == "exited"
    assert last_run(answer) == (code, None, None)
    assert runs(quick, id) == 1


def test_crash_is_retried_with_a_back_off_and_ends_as_fatal(quick: Quick) -> None:
    id = quick.run(shell("echo ran; exit 3"))
    assert "last_run" not in quick.until(id, "backoff")
    assert id in quick.listed()
    answer = quick.ended(id, timeout=60)
    assert answer["status"] == "fatal"
    assert last_run(answer) == (3, None, None)
    assert timestamp(answer["last_run"]["ended_at"]) - created(id) >= 5  # after one second, two, three
    assert runs(quick, id) == 4
    eventually(lambda: quick.is_cleaned_up(id))


def test_crash_after_the_first_second_is_retried(quick: Quick) -> None:
    id = quick.run(shell("echo ran; sleep 1.1; exit 3"))
    eventually(lambda: runs(quick, id) >= 2)
    assert id in quick.listed()


def test_autorestart_true_runs_until_it_is_stopped(quick: Quick) -> None:
    id = quick.run("echo ran", autorestart="true")
    eventually(lambda: runs(quick, id) >= 3)
    assert id in quick.listed()
    quick.stop(id)
    assert quick.status(id)["status"] == "stopped"
    count = runs(quick, id)
    quick.launch("sleep 1000", wait=True)
    assert runs(quick, id) == count


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV, signal.SIGRTMIN + 1])
def test_signal_is_reported(quick: Quick, signum: int) -> None:
    id = quick.run(autorestart="false")
    os.kill(quick.pid(id), signum)
    name = signal.Signals(signum).name if signum < signal.SIGRTMIN else f"signal {signum}"
    answer = quick.ended(id)
    assert answer["status"] == "exited"
    assert last_run(answer) == (None, name, None)


def test_killed_program_comes_back(quick: Quick) -> None:
    id = quick.run()
    quick.until(id, "running")
    pid = quick.pid(id)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: quick.status(id).get("pid") not in (None, pid))
    assert id in quick.listed()


@pytest.mark.parametrize("autorestart", ["unexpected", "true", "false"])
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "command not found: {}"),
        (lambda path: path.write_text("#!/bin/sh\n"), "command is not executable: {}"),
        (lambda path: path.mkdir(), "command is a folder: {}"),
        (
            lambda path: (path.write_text("#!/no/such/interpreter\n"), path.chmod(0o755)),
            "command can't be run: {}: its interpreter '/no/such/interpreter' does not exist",
        ),
    ],
    ids=["missing", "not executable", "folder", "no interpreter"],
)
def test_what_can_not_be_run_is_fatal_once_with_the_reason(
    quick: Quick, tmp_path: Path, make: Any, sentence: str, autorestart: str
) -> None:
    program = tmp_path / "program"
    make(program)
    answer = quick.ended(quick.run(str(program), autorestart=autorestart))
    assert answer["status"] == "fatal"
    assert last_run(answer) == (None, None, sentence.format(program))
    eventually(lambda: quick.is_cleaned_up(answer["temporary_id"]))


@pytest.mark.skipif(not is_root(), reason="it takes root to run programs as another user")
def test_directory_without_rights_is_fatal_once_with_the_reason(quick: Quick, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    answer = quick.ended(quick.run("echo ran", user=OTHER_USER, directory=str(folder)))
    assert answer["status"] == "fatal"
    assert last_run(answer) == (
        None, None, f"Working directory '{folder}' can't be entered: permission denied",
    )  # fmt: skip
    assert runs(quick, answer["temporary_id"]) == 0


def test_children_are_ended_with_the_program_that_left_them(
    quick: Quick, stack: Stack, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    id = quick.run(FORKS.replace("exec sleep 1006", f"sleep 1006 & until test -e {go}; do sleep 0.05; done"))
    eventually(lambda: forked(stack, id), what="all of the tree is there")
    go.touch()
    assert last_run(quick.ended(id)) == (0, None, None)
    assert tree(stack, id) == []


def test_record_and_logs_stay_readable_after_the_end(quick: Quick, stack: Stack) -> None:
    answer = quick.launch("echo one", wait="exit")
    id = answer["temporary_id"]
    eventually(lambda: quick.is_cleaned_up(id))
    assert quick.logs(id) == "one"
    assert quick.status(id)["last_run"] == answer["last_run"]
    assert quick.stop(id) == {**STOPPED, "temporary_id": id}
    assert quick.status(id)["last_run"] == answer["last_run"], "the stop has changed nothing"
    assert answer["name"] in log_folders(stack)


# Stopped


def test_stop_answers_when_everything_is_cleaned_up(quick: Quick, stack: Stack) -> None:
    id = quick.run(FORKS, ttl=1000)
    eventually(lambda: forked(stack, id), what="all of the tree is there")
    assert quick.stop(id) == {**STOPPED, "temporary_id": id}
    assert tree(stack, id) == []
    assert id not in quick.listed()
    assert not (stack.folder / "conf.d" / f"{id}.json").exists()
    eventually(lambda: quick.is_cleaned_up(id))  # the mirror is written a moment later
    answer = quick.status(id)
    assert answer["status"] == "stopped"
    assert last_run(answer) == (None, "SIGTERM", None)


def test_stop_may_be_asked_for_again(quick: Quick) -> None:
    id = quick.run()
    quick.stop(id)
    before = quick.status(id)
    assert quick.stop(id) == {**STOPPED, "temporary_id": id}
    assert quick.status(id) == before


def test_program_may_tidy_up_in_peace_however_often_it_is_stopped(quick: Quick, stack: Stack) -> None:
    tidy = shell("trap 'sleep 0.5 && echo done; exit 7' TERM; echo ready; sleep 1000 & wait")
    id = quick.run(tidy)
    eventually(lambda: quick.logs(id) == "ready")
    with ThreadPoolExecutor(2) as pool:
        stopping = pool.submit(stack.api.ok, f"quick-start/{id}/stop")
        quick.until(id, "stopping")
        pool.submit(stack.api.ok, f"quick-start/{id}/stop").result(60)
        stopping.result(60)
    assert quick.logs(id) == "ready\ndone"
    assert last_run(quick.status(id)) == (7, None, None)
    assert quick.status(id)["status"] == "stopped"


def test_program_hears_of_the_stop_before_its_children_have_ended(quick: Quick, stack: Stack) -> None:
    """A shell that waits for its child would otherwise take the child's end for the end of its work."""
    waiting = shell("trap 'echo trapped; exit 0' TERM; echo ready; sleep 1000; echo went on")
    ids = [quick.run(waiting) for _ in range(8)]
    eventually(lambda: all(len(tree(stack, id)) == 2 for id in ids))
    with ThreadPoolExecutor(len(ids)) as pool:
        for stopped in [pool.submit(stack.api.ok, f"quick-start/{id}/stop") for id in ids]:
            stopped.result(60)
    assert {quick.logs(id) for id in ids} == {"ready\ntrapped"}


def test_stop_right_after_launch_is_not_lost(quick: Quick, stack: Stack) -> None:
    for _ in range(20):
        id = quick.run()
        started_at = time.monotonic()
        quick.stop(id)
        assert time.monotonic() - started_at < 5, "it was not SIGTERM that ended it"
        assert tree(stack, id) == []
        assert quick.status(id)["status"] == "stopped"


def test_stop_ends_the_delay_and_the_command_is_never_run(quick: Quick) -> None:
    id = quick.run("echo ran", delay_seconds=1)
    quick.stop(id)
    assert last_run(quick.status(id)) == (None, None, None)
    assert quick.status(id)["status"] == "stopped"
    quick.launch("sleep 1000", wait=True, delay_seconds=1)  # past the moment at which it was due
    assert runs(quick, id) == 0


def test_stop_ends_the_waiting_for_a_retry(quick: Quick) -> None:
    id = quick.run(shell("exit 3"))
    quick.until(id, "backoff")
    quick.stop(id)
    answer = quick.status(id)
    assert answer["status"] == "stopped"
    assert last_run(answer) == (3, None, None)


def test_stops_at_once_are_one_stop(quick: Quick, stack: Stack) -> None:
    clients = [stack.api for _ in range(8)]
    for _ in range(5):
        id = quick.run()
        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(lambda client: client.ok(f"quick-start/{id}/stop"), clients))  # noqa: B023
        assert answers == [{**STOPPED, "temporary_id": id}] * len(clients)
        assert last_run(quick.status(id)) in ((None, "SIGTERM", None), (None, None, None))
        assert not (stack.folder / "conf.d" / f"{id}.json").exists()


def test_stop_and_end_at_once_are_a_success(quick: Quick) -> None:
    """The program ends by itself at the moment at which it is stopped."""
    outcomes = set()
    for number in range(40):
        id = quick.run(python("import time, sys; time.sleep(float(sys.argv[1]))", str(number / 1000)))
        assert quick.stop(id)["cleaned_up"] is True
        answer = quick.status(id)
        outcomes.add((answer["status"], *last_run(answer)))
    assert outcomes <= {
        ("stopped", None, "SIGTERM", None), ("stopped", None, None, None), ("stopped", 0, None, None),
        ("exited", 0, None, None),
    }  # fmt: skip


def test_stops_and_ends_of_short_programs_cross_each_other(quick: Quick, stack: Stack) -> None:
    """A record is completed once, and without errors, whichever process is first."""

    def launch_and_stop(number: int) -> dict[str, Any]:
        client = stack.api
        id = client.ok("quick-start", {"command": "true", "user": psutil.Process().username()})[
            "temporary_id"
        ]
        if number % 2:
            client.ok(f"quick-start/{id}/stop")
        return client.get(f"quick-start/{id}/status").json()  # type: ignore[no-any-return]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(launch_and_stop, range(64)))
    ids = {answer["temporary_id"] for answer in answers}
    eventually(lambda: all(quick.record(id)["ended_at"] for id in ids))
    for id in ids:
        answer = quick.status(id)
        assert answer["status"] in ("exited", "stopped")
        assert answer["last_run"]["error"] is None
    eventually(lambda: not ids & set(quick.listed()))
