"""Standard input of a program is at its end from the start, so that what reads does not wait for ever."""

import time

import pytest

from tests.processes import python, shell, started
from tests.stack import Api, eventually
from tests.temporary_programs import Quick

READS = {
    "cat": ("cat", 0),
    "bash": ("bash", 0),
    "python": ("python3", 0),
    "input": (python("input()"), 1),
    "read": (shell("read line; echo read $?; exit 7"), 7),
}


@pytest.mark.parametrize(("command", "code"), READS.values(), ids=READS)
def test_quick_start_that_reads_ends_at_once(quick: Quick, command: str, code: int) -> None:
    begun = time.monotonic()
    answer = quick.launch(command, wait="exit", timeout=30, ttl=600, autorestart="false")
    assert time.monotonic() - begun < 15
    assert answer["status"] == "exited"
    assert answer["last_run"]["exit_code"] == code


def test_what_input_finds_is_the_end(quick: Quick) -> None:
    answer = quick.launch(python("input()"), wait="exit", autorestart="false")
    assert "EOFError" in answer["stderr"]


def test_program_that_reads_is_a_finished_run(api: Api) -> None:
    id = api.add("cat")
    api.ok(f"programs/{id}/start", {"wait": True})
    assert api.until(id, "exited")["last_run"]["exit_code"] == 0


def test_standard_input_is_the_null_device_and_can_not_be_written(api: Api) -> None:
    id = api.add(shell("readlink /proc/$$/fd/0; echo x >&0 || echo refused; exec sleep 1000"))
    pid = started(api, id)
    assert pid
    eventually(lambda: api.logs(id) == "/dev/null\nrefused")


def test_terminal_stays_one(api: Api) -> None:
    """There a command that reads waits for a person."""
    id = api.add(shell("echo ready; read line"), terminal_id=21_500, terminal_shell="sh")
    started(api, id)
    eventually(lambda: "ready" in api.logs(id))
    api.until(id, "running")
