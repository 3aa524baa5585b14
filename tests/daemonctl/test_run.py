"""``daemonctl run``: its input, and what becomes of it when the connection is lost."""

import subprocess
from pathlib import Path

from tests.daemonctl.conftest import COMMAND, Ctl, Open, environment
from tests.daemonctl.proxy import proxy_to
from tests.stack import PROJECT, Stack

COUNTS = "i=0; while [ $i -lt 25 ]; do i=$((i+1)); echo line $i.; sleep 0.1; done; exit 3"


def run_with(stack: Stack, home: Path, given: bytes, *command: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*COMMAND, "run", "--", *command],
        cwd=PROJECT,
        env=environment(stack, home),
        input=given,
        capture_output=True,
        timeout=60,
    )


def test_standard_input_is_passed_on(stack: Stack, tmp_path: Path) -> None:
    text = "".join(f"{number} größer\n" for number in range(50_000)).encode()
    summed = run_with(stack, tmp_path, text, "sh", "-c", "wc -lc; exit 4")
    assert (summed.returncode, summed.stdout.split()) == (4, [b"50000", str(len(text)).encode()]), (
        summed.stderr
    )
    assert (
        run_with(stack, tmp_path, text, "sh", "-c", "read line; echo got $line").stdout
        == b"got 0 gr\xc3\xb6\xc3\x9fer\n"
    )
    assert run_with(stack, tmp_path, b"", "cat").returncode == 0


def test_input_that_is_no_text_is_an_error(stack: Stack, tmp_path: Path) -> None:
    refused = run_with(stack, tmp_path, b"\xff\xfe", "cat")
    assert refused.returncode != 0
    assert refused.stderr == b"Standard input can't be passed on: it is not UTF-8\n"


def test_command_goes_on_while_the_connection_is_lost(stack: Stack, terminal: Open) -> None:
    with proxy_to(stack.port) as proxy:
        ran = terminal("run", "--", "sh", "-c", COUNTS, DAEMONCTL_URL=proxy.url, DAEMONCTL_TOKEN=stack.token)
        ran.until("line 2.")
        proxy.cut()
        assert ran.ended() == 3
    lines = [line for line in ran.shown.split("\r\n") if line.startswith("line")]
    assert lines == [f"line {number}." for number in range(1, 26)]
    assert ran.shown.count("trying again") == 1


def test_second_ctrl_c_leaves_it_to_the_daemon(stack: Stack, ctl: Ctl, terminal: Open) -> None:
    stubborn = "trap '' INT TERM; echo up; while :; do sleep 0.1; done"
    ran = terminal("run", "--ttl", "30", "--", "sh", "-c", stubborn)
    ran.until("up")
    ran.type("\x03")
    ran.until("^C")
    ran.type("\x03")
    assert ran.ended() == 130
