"""``POST programs/{id}/restart``: stop and start as one."""

import fcntl
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.processes import LONG_RUNNING, python, shell, started, tree
from tests.stack import Api, Stack, eventually

PORTS = {"start": 64000, "end": 64002}

# Takes a lock for as long as it lives; writes a line when it is there, and another if it isn't alone.
ALONE = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    os.write(1, b"not alone\\n")
os.write(1, b"here\\n")
time.sleep(1000)
"""


def test_restart_ends_the_process_and_starts_another(api: Api, stack: Stack) -> None:
    id = api.add(LONG_RUNNING)
    pid = started(api, id)
    assert api.ok(f"programs/{id}/restart", {}) == {"success": True}
    new = eventually(lambda: (found := api.pid(id)) and found != pid and found)
    assert [process.pid for process in tree(stack, id)] == [new]
    assert not psutil.pid_exists(pid)


def test_restart_with_wait_answers_when_it_runs_again(api: Api) -> None:
    id = api.add()
    pid = started(api, id)
    assert api.ok(f"programs/{id}/restart", {"wait": True, "timeout": 60}) == {"success": True}
    assert api.word(id) == "running"
    assert api.pid(id) not in (None, pid)


@pytest.mark.parametrize("command", ["sleep 1000", "true"])
def test_restart_starts_what_does_not_run(api: Api, command: str) -> None:
    id = api.add(command)
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert api.word(id) in ("running", "exited")
    api.ok(f"programs/{id}/restart", {"wait": True})


def test_restart_ends_a_crash_loop_and_tries_again(api: Api, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    id = api.add(shell('test -e "$1" && exec sleep 1000; exit 1', str(ready)))
    api.ok(f"programs/{id}/start")
    api.until(id, "backoff", "fatal")
    ready.touch()
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert api.word(id) == "running"


def test_restart_of_a_disabled_program_is_refused(api: Api) -> None:
    id = api.add(enabled=False)
    assert api.refused(f"programs/{id}/restart") == f"Program with ID {id} is disabled"


def test_failed_restart_is_reported_to_a_waiting_client(api: Api, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ready; exec sleep 1000\n")
    program.chmod(0o755)
    id = api.add(str(program))
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    program.unlink()
    sentence = api.refused(f"programs/{id}/restart", {"wait": True})
    assert sentence == f"Program with ID {id} did not start: command not found: {program}"
    assert api.word(id) == "fatal"


def test_restart_that_is_waited_for_runs_out_of_time(api: Api) -> None:
    id = api.add(delay_seconds=3600)
    sentence = api.refused(f"programs/{id}/restart", {"wait": True, "timeout": 1}, 504)
    assert sentence == f"Program with ID {id} is not running after 1 seconds"


def test_restart_never_runs_two_and_never_loses_a_start(api: Api, stack: Stack, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    id = api.add(python(ALONE, str(lock)))
    started(api, id)

    def ask(number: int) -> int:
        verb = random.Random(number).choice(["restart", "restart", "start", "stop"])
        return stack.api.post(f"programs/{id}/{verb}").status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(ask, range(60)))
    assert set(codes) <= {200, 400}  # 400: it runs already
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert len(tree(stack, id)) == 1
    with lock.open("a") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    eventually(lambda: "here" in api.logs(id))
    assert "not alone" not in api.logs(id, lines=10000)


def test_restarts_while_the_old_process_ends_are_one(api: Api) -> None:
    id = api.add(shell("trap 'sleep 0.5; exit' TERM; echo ready; while :; do sleep 0.05; done"))
    api.ok(f"programs/{id}/start")
    eventually(lambda: api.logs(id) == "ready")
    for _ in range(3):
        api.ok(f"programs/{id}/restart")
        assert api.word(id) == "stopping"
    api.until(id, "running")
    events = api.get(f"programs/{id}/events", state="starting").json()["events"]
    assert len(events) == 2


def test_restart_waits_for_the_whole_old_tree(api: Api, stack: Stack, tmp_path: Path) -> None:
    """A child that takes its time would still hold the port that the new process needs."""
    child = "trap 'sleep 0.5; exit' TERM; echo child; while :; do sleep 0.05; done"
    id = api.add(shell(f"({child}) & exec sleep 1000"))
    started(api, id)
    eventually(lambda: api.logs(id) == "child")
    old = tree(stack, id)
    assert len(old) > 1
    api.ok(f"programs/{id}/restart")
    eventually(lambda: api.pid(id) not in (None, *(process.pid for process in old)))
    assert not any(process.is_running() for process in old)


def test_one_instance_is_restarted_alone(api: Api) -> None:
    id = api.add("sleep 1000 {port}", port_range=PORTS)
    pids = {port: started(api, id, port) for port in (64000, 64001)}
    answer = api.ok(f"programs/{id}/restart", {"port": 64000, "wait": True})
    instance = answer["instance"]
    assert instance["port"] == 64000
    assert instance["status"] == "running"
    assert instance["pid"] != pids[64000]
    now = {each["port"]: each["pid"] for each in api.status(id)["instances"]}
    assert now == {64000: instance["pid"], 64001: pids[64001]}


def test_all_instances_that_run_are_restarted_and_no_other(api: Api) -> None:
    id = api.add("sleep 1000 {port}", port_range=PORTS)
    pids = {started(api, id, port) for port in (64000, 64002)}
    assert api.ok(f"programs/{id}/restart", {"all": True, "wait": True}) == {"success": True}
    instances = api.status(id)["instances"]
    assert [each["port"] for each in instances] == [64000, 64002]
    assert pids.isdisjoint(each["pid"] for each in instances)
