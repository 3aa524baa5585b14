"""``wait`` of a launch: until it runs, until it has ended, or until the timeout."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.processes import shell
from tests.stack import OWN_USER, Stack, eventually
from tests.temporary_programs import Quick, created, timestamp, tree

ROOM = 32  # for waiting requests: half of the API's threads


def exited(code: int) -> dict[str, Any]:
    return {"exit_code": code, "signal": None, "error": None}


def outcome(answer: dict[str, Any]) -> dict[str, Any]:
    """``last_run`` without its time, which is checked here."""
    last_run = dict(answer["last_run"])
    ended_at = timestamp(last_run.pop("ended_at"))
    assert int(created(answer["temporary_id"])) <= ended_at <= time.time()
    return last_run


# wait: true


def test_wait_answers_when_it_runs(quick: Quick, stack: Stack) -> None:
    answer = quick.launch("sleep 1000", wait=True, ttl=1000)
    assert set(answer) == {
        "success", "temporary_id", "name", "status", "pid", "uptime", "created_at", "expires_at",
    }  # fmt: skip
    assert answer["status"] == "running"
    assert [process.pid for process in tree(stack, answer["temporary_id"])] == [answer["pid"]]


def test_wait_false_does_not_wait(quick: Quick) -> None:
    assert quick.launch("true", wait=False)["status"] == "starting"


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("false", 1), ("sh -c 'exit 255'", 255)])
def test_command_that_ends_meanwhile_is_a_success(quick: Quick, command: str, code: int) -> None:
    answer = quick.launch(command, wait=True, autorestart="false")
    assert set(answer) == {"success", "temporary_id", "name", "status", "created_at", "last_run"}
    assert answer["status"] == "exited"
    assert outcome(answer) == exited(code)


def test_command_that_ends_meanwhile_is_cleaned_up_when_the_answer_comes(quick: Quick) -> None:
    id = quick.launch("true", wait=True)["temporary_id"]
    assert id not in quick.listed()
    eventually(lambda: quick.is_cleaned_up(id))


def test_wait_takes_the_delay_along(quick: Quick) -> None:
    started_at = time.monotonic()
    assert quick.launch("sleep 1000", wait=True, delay_seconds=1)["status"] == "running"
    assert time.monotonic() - started_at >= 2


def test_wait_for_what_never_runs_ends_with_its_end(quick: Quick) -> None:
    answer = quick.launch("no-such-command", wait=True)
    assert answer["status"] == "fatal"
    assert outcome(answer) == {
        "exit_code": None,
        "signal": None,
        "error": "command not found: no-such-command",
    }


# wait: "exit"


def test_run_to_completion_returns_outcome_and_output(quick: Quick) -> None:
    answer = quick.launch(
        shell("echo one; echo two >&2; sleep 0.3; exit 3"), autorestart="false", wait="exit"
    )
    assert set(answer) == {
        "success", "temporary_id", "name", "status", "created_at", "last_run",
        "duration_seconds", "stdout", "stderr",
    }  # fmt: skip
    assert answer["status"] == "exited"
    assert outcome(answer) == exited(3)
    assert (answer["stdout"], answer["stderr"]) == ("one", "two")
    assert 0.3 <= answer["duration_seconds"] < 30


def test_run_to_completion_returns_the_last_hundred_lines_of_both_streams(quick: Quick) -> None:
    answer = quick.launch(shell("seq 20000; seq 30000 >&2; printf 'no end'"), wait="exit")
    out, err = answer["stdout"].splitlines(), answer["stderr"].splitlines()
    assert out == [*map(str, range(19902, 20001)), "no end"]
    assert err == list(map(str, range(29901, 30001)))


def test_run_to_completion_of_a_program_that_is_killed(quick: Quick) -> None:
    answer = quick.launch(shell("kill -9 $$"), autorestart="false", wait="exit")
    assert answer["status"] == "exited"
    assert outcome(answer) == {"exit_code": None, "signal": "SIGKILL", "error": None}


def test_run_to_completion_of_a_program_that_is_stopped(quick: Quick, stack: Stack) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(
            stack.api.post, "quick-start", {"command": "sleep 1000", "user": OWN_USER, "wait": "exit"}
        )
        id = eventually(lambda: next(iter(quick.listed()), None))
        quick.pid(id)
        quick.stop(id)
        answer = waiting.result(60).json()
    assert (answer["temporary_id"], answer["status"]) == (id, "stopped")
    assert outcome(answer) == {"exit_code": None, "signal": "SIGTERM", "error": None}


def test_many_run_to_completion_side_by_side_and_each_gets_its_own_answer(stack: Stack) -> None:
    def run(number: int) -> tuple[int, str]:
        command = shell("echo $1; exit $1", str(number))
        body = {"command": command, "user": OWN_USER, "wait": "exit", "autorestart": False}
        answer = stack.api.ok("quick-start", body)
        return answer["last_run"]["exit_code"], answer["stdout"]

    with ThreadPoolExecutor(25) as pool:
        assert list(pool.map(run, range(100))) == [(number, str(number)) for number in range(100)]


# The timeout


@pytest.mark.parametrize(
    ("wait", "delay", "wanted"), [(True, 100, "running"), ("exit", 0, "finished")], ids=["run", "exit"]
)
def test_timeout_is_504_with_the_id_and_the_program_goes_on(
    quick: Quick, wait: Any, delay: int, wanted: str
) -> None:
    started_at = time.monotonic()
    body = {"command": "sleep 1000", "user": OWN_USER, "wait": wait, "timeout": 1, "delay_seconds": delay}
    response = quick.api.post("quick-start", body)
    assert 1 <= time.monotonic() - started_at < 10
    assert response.status_code == 504
    id = response.json()["temporary_id"]
    quick.ids.append(id)
    assert response.json() == {
        "success": False,
        "error": f"Ephemeral program {id} is not {wanted} after 1 seconds",
        "code": "timeout",
        "temporary_id": id,
    }
    quick.until(id, "starting" if delay else "running")
    assert id in quick.listed()


def test_without_room_to_wait_nothing_is_launched(quick: Quick, stack: Stack) -> None:
    """A client that is sent away tries again: what it did not get an id of must not run."""
    body = {"command": "sleep 1000", "user": OWN_USER, "wait": "exit", "timeout": 300}
    with ThreadPoolExecutor(ROOM + 8) as pool:
        waiting = [pool.submit(stack.api.post, "quick-start", body) for _ in range(ROOM + 8)]
        eventually(lambda: sum(each.done() for each in waiting) == 8, 30, "eight are sent away")
        live = set(quick.listed())
        assert len(live) == ROOM
        answer = quick.api.post("quick-start", body)
        assert answer.status_code == 429
        assert answer.json()["error"] == "Too many requests are waiting already; try again later"
        assert quick.run() not in live  # requests that don't wait are served
        assert set(quick.listed()) == live | set(quick.ids)
        for id in live:
            quick.api.post(f"quick-start/{id}/stop")
        codes = sorted(each.result(60).status_code for each in waiting)
    assert codes == [200] * ROOM + [429] * 8
