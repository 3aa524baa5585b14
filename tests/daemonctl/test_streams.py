"""What is followed: logs and commands in the foreground, also while the API is away."""

import os
import signal

from tests.daemonctl.conftest import Ctl, Open
from tests.processes import shell
from tests.stack import Api, Stack, eventually
from tests.stream_client import api_pid

COUNTS = "i=0; while :; do i=$((i+1)); echo line $i.; sleep 0.1; done"


def test_run_is_like_the_command_itself(stack: Stack, api: Api, ctl: Ctl) -> None:
    ran = ctl("run", "-e", "WORD=x y", "--dir", "/tmp", "--", "sh", "-c", 'pwd; echo "$WORD" >&2; exit 7')
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, "/tmp\n", "x y\n")
    assert ctl("run", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    missing = ctl("run", "no-such-command")
    assert (missing.returncode, missing.stdout) == (127, "")
    id = ctl("run", "-d", "--", "sleep", "1000").stdout.strip()
    assert "running" in ctl("status", id).stdout
    assert ctl("stop", id).returncode == 0


def test_ctrl_c_interrupts_what_runs_in_the_foreground(stack: Stack, terminal: Open) -> None:
    ran = terminal("run", "--", "sh", "-c", "trap 'echo interrupted; exit 9' INT; echo up; sleep 1000 & wait")
    ran.until("up")
    ran.type("\x03")
    assert ran.ended() == 9
    assert "interrupted" in ran.shown


def _kill_api(stack: Stack) -> None:
    before = api_pid(stack.api)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: _is_another(stack, before), 30, "the API is back")


def _is_another(stack: Stack, before: int) -> bool:
    try:
        return api_pid(stack.api) != before
    except OSError:  # of requests
        return False


def _numbers(shown: str) -> list[int]:
    return [
        int(line.split(" ")[-1].rstrip("."))
        for line in shown.split("\r\n")
        if line.endswith(".") and "line" in line
    ]


def test_streams_go_on_after_the_api_was_killed(own_stack: Stack, terminal: Open) -> None:
    api = own_stack.start().api
    id = api.add(shell(COUNTS), name="counter")
    api.add("sleep 1000", name="quiet")
    api.ok(f"programs/{id}/start", {"wait": True})
    followed = terminal("logs", "-f", "-n", "10000", "counter", "quiet", on=own_stack)
    ran = terminal("run", "--", "sh", "-c", COUNTS.replace(":", "[ $i -lt 100 ]") + "; exit 3", on=own_stack)
    followed.until("line 2.")
    assert "counter\x1b[0m | line 2." in followed.shown
    ran.until("line 2.")
    _kill_api(own_stack)
    assert ran.ended(60) == 3
    followed.until("line 100.", 30)
    assert _numbers(ran.shown) == list(range(1, 101))
    numbers = _numbers(followed.shown)
    assert numbers == list(range(1, len(numbers) + 1))
    assert "trying again" in followed.shown
    followed.type("\x03")
    assert followed.ended() == 130
