"""``daemonctl run``: its input, and what becomes of it when the connection is lost."""

import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import cast

import pytest

from daemonctl import standard_input
from daemonctl.client import Client
from daemonctl.contexts import Target
from daemonctl.problems import Lost, Problem, Refused, Unreachable
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


class Daemon:
    """A client whose requests for input fail as the test says."""

    def __init__(self, *problems: Problem | None) -> None:
        self._problems = list(problems)
        self.posted: list[tuple[str, dict[str, object]]] = []

    def post(self, route: str, body: dict[str, object] | None = None) -> dict[str, object]:
        self.posted.append((route, body or {}))
        problem = self._problems.pop(0) if self._problems and route.endswith("input") else None
        if problem is not None:
            raise problem
        return {}

    def get(self, route: str) -> dict[str, object]:
        return {"status": "running"}


def _full() -> Refused:
    problem = Refused("It does not read")
    problem.status = 503
    return problem


def pass_on(daemon: Daemon, given: bytes) -> None:
    read, write = os.pipe()
    os.write(write, given)
    os.close(write)
    standard_input._pass_on(cast(Client, daemon), "quick-start/x", read)
    os.close(read)


def test_input_waits_for_the_daemon_and_for_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "_PAUSE_SECONDS", 0)
    daemon = Daemon(Unreachable("away"), _full(), None)
    pass_on(daemon, b"text")
    route = "quick-start/x/input"
    assert daemon.posted == [*[(route, {"text": "text"})] * 3, (route, {"close": True})]


def test_input_ends_with_the_program() -> None:
    daemon = Daemon(Refused("It is not running"))
    pass_on(daemon, b"text")
    assert len(daemon.posted) == 1


def test_command_is_stopped_if_nobody_knows_whether_its_input_has_arrived(
    capsys: pytest.CaptureFixture[str],
) -> None:
    daemon = Daemon(Lost("the connection was lost"))
    pass_on(daemon, b"text")
    assert [route for route, _ in daemon.posted] == ["quick-start/x/input", "quick-start/x/stop"]
    assert capsys.readouterr().err == "Standard input can't be passed on: the connection was lost\n"


def test_request_that_was_sent_is_told_from_one_that_was_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(Lost):
            Client(Target(f"http://127.0.0.1:{port}", "hdt_x")).post("x", {})
    with pytest.raises(Unreachable) as refused:
        Client(Target(f"http://127.0.0.1:{port}", "hdt_x")).post("x", {})
    assert not isinstance(refused.value, Lost)
