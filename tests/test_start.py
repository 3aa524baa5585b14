"""``POST programs/{id}/start``."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.processes import LONG_RUNNING, shell, started, tree
from tests.stack import OWN_USER, Api, Stack, eventually, free_port


def test_start_answers_at_once(api: Api) -> None:
    id = api.add()
    assert api.ok(f"programs/{id}/start", {}) == {"success": True}
    assert api.word(id) in ("starting", "running")
    assert api.pid(id)


def test_started_program_is_running_after_a_second(api: Api) -> None:
    id = api.add()
    api.ok(f"programs/{id}/start")
    assert api.until(id, "running")["status"].keys() == {"id", "status", "pid", "uptime"}


def test_wait_answers_when_it_runs(api: Api) -> None:
    id = api.add()
    assert api.ok(f"programs/{id}/start", {"wait": True, "timeout": 300}) == {"success": True}
    assert api.word(id) == "running"


def test_wait_takes_a_run_that_has_ended_well_for_a_success(api: Api) -> None:
    id = api.add("true")
    assert api.ok(f"programs/{id}/start", {"wait": True}) == {"success": True}
    assert api.word(id) == "exited"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (shell("exit 3"), "it ended with exit code 3"),
        (shell("kill -9 $$"), "it was ended by SIGKILL"),
    ],
)
def test_wait_reports_how_a_start_has_failed(api: Api, command: str, why: str) -> None:
    id = api.add(command, autorestart="false")
    sentence = api.refused(f"programs/{id}/start", {"wait": True})
    assert sentence == f"Program with ID {id} did not start: {why}"


def test_wait_runs_out_of_time(api: Api) -> None:
    id = api.add(delay_seconds=3600)
    sentence = api.refused(f"programs/{id}/start", {"wait": True, "timeout": 1}, 504)
    assert sentence == f"Program with ID {id} is not running after 1 seconds"
    assert api.word(id) == "starting"


def test_wait_ends_when_the_program_is_stopped(api: Api) -> None:
    id = api.add(delay_seconds=3600)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.refused, f"programs/{id}/start", {"wait": True})
        api.until(id, "starting")
        api.ok(f"programs/{id}/stop")
        assert waiting.result(20) == f"Program with ID {id} was stopped while it was starting"


def test_wait_ends_when_the_program_is_removed(api: Api) -> None:
    id = api.add(delay_seconds=3600)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.refused, f"programs/{id}/start", {"wait": True})
        api.until(id, "starting")
        api.ok(f"programs/remove/{id}")
        assert waiting.result(20) in (
            f"Program with ID {id} was stopped while it was starting",
            f"Program with ID {id} was withdrawn while it was starting",
        )


def test_starting_what_runs_is_a_success_that_changes_nothing(api: Api) -> None:
    id = api.add()
    pid = started(api, id)
    for body in ({}, {"wait": True}, {"if_not_running": False}):
        assert api.ok(f"programs/{id}/start", body) == {"success": True}
    assert api.pid(id) == pid


def test_published_workflow_of_adding_and_starting(api: Api) -> None:
    """docs/contract.md, section 8: the second call finds the program running."""
    id = api.add("sh -c 'while :; do echo tick; sleep 5; done'", enabled=True, boot=True)
    pid = eventually(lambda: api.pid(id))
    assert api.ok(f"programs/{id}/start", {"wait": False}) == {"success": True}
    assert api.ok(f"programs/{id}/start", {"wait": True}) == {"success": True}
    assert api.pid(id) == pid


def test_if_not_running_leaves_what_runs_alone(api: Api) -> None:
    id = api.add()
    assert api.ok(f"programs/{id}/start", {"if_not_running": True}) == {
        "success": True,
        "already_running": False,
    }
    pid = api.pid(id)
    assert api.ok(f"programs/{id}/start", {"if_not_running": True}) == {
        "success": True,
        "already_running": True,
    }
    assert api.pid(id) == pid


def test_if_not_running_with_wait_waits_for_the_start_under_way(api: Api) -> None:
    id = api.add(delay_seconds=1)
    api.ok(f"programs/{id}/start")
    answer = api.ok(f"programs/{id}/start", {"if_not_running": True, "wait": True})
    assert answer == {"success": True, "already_running": True}
    assert api.word(id) == "running"


def test_start_of_a_disabled_program_is_refused(api: Api) -> None:
    id = api.add(enabled=False)
    assert api.refused(f"programs/{id}/start") == f"Program with ID {id} is disabled"
    assert (
        api.refused(f"programs/{id}/start", {"if_not_running": True}) == f"Program with ID {id} is disabled"
    )


@pytest.mark.parametrize("port", [1, 8000])
def test_port_of_a_program_without_ports_is_refused(api: Api, port: int) -> None:
    id = api.add()
    for verb in ("start", "stop", "restart"):
        assert (
            api.refused(f"programs/{id}/{verb}", {"port": port}) == f"Program with ID {id} has no port range"
        )


def test_finished_and_failed_programs_can_be_started_again(api: Api, tmp_path: Path) -> None:
    log = tmp_path / "out"
    for command in ("echo ran", shell("echo ran; exit 1")):
        id = api.add(command, autorestart="false", stdout_logfile=str(log))
        for _ in range(3):
            api.ok(f"programs/{id}/start")
            api.until(id, "exited")
    assert log.read_text() == "ran\n" * 6


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("no-such-program", "command not found: no-such-program"),
        ("/no/such/program x", "command not found: /no/such/program"),
        ("/etc/passwd", "command is not executable: /etc/passwd"),
        ("/etc", "command is a folder: /etc"),
        ("%(ENV_PATH)s", "command not found: %(ENV_PATH)s"),
        ("'two words'", "command not found: two words"),
    ],
)
def test_what_can_not_be_started_is_refused_with_the_reason(api: Api, command: str, why: str) -> None:
    id = api.add(command)
    assert api.refused(f"programs/{id}/start") == f"Program with ID {id} can't be started: {why}"
    assert api.word(id) == "stopped"


def test_delay_passes_before_the_command_is_run(api: Api, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    id = api.add(shell("touch $1; exec sleep 1000", str(ran)), delay_seconds=2)
    asked = time.time()
    api.ok(f"programs/{id}/start")
    assert api.status(id)["status"] == {"id": id, "status": "starting"}
    eventually(ran.exists)
    assert ran.stat().st_mtime >= asked + 1.9
    assert api.until(id, "running")["status"]["pid"]


def test_delay_passes_before_restarts_too(api: Api) -> None:
    id = api.add(shell("date +%s%N; exit 1"), delay_seconds=1)
    api.ok(f"programs/{id}/start")
    times = eventually(lambda: len(ran := api.logs(id).split()) > 1 and ran, 20)
    # A second of backing off, and then the delay
    assert int(times[1]) - int(times[0]) > 1.9e9
    api.ok(f"programs/{id}/stop")


def test_concurrent_starts_make_one_process(api: Api, stack: Stack) -> None:
    id = api.add(LONG_RUNNING)

    def start(_: int) -> dict[str, Any]:
        return stack.api.post(f"programs/{id}/start").json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(start, range(24)))
    assert answers == [{"success": True}] * 24
    assert len(tree(stack, id)) == 1


def test_start_in_another_folder_and_with_a_relative_command(api: Api, tmp_path: Path) -> None:
    program = tmp_path / "here"
    program.write_text("#!/bin/sh\npwd\n")
    program.chmod(0o755)
    id = api.add("./here", directory=str(tmp_path))
    api.ok(f"programs/{id}/start", {"wait": True})
    assert api.logs(id) == str(tmp_path)


def test_display_is_in_the_environment_unless_it_sets_its_own(api: Api) -> None:
    for environment, shown in (({}, ":7"), ({"DISPLAY": ":9"}, ":9")):
        id = api.add(shell("echo $DISPLAY"), display="7", environment=environment)
        api.ok(f"programs/{id}/start", {"wait": True})
        assert api.logs(id) == shown


def test_program_is_looked_for_in_its_own_path(api: Api, tmp_path: Path) -> None:
    program = tmp_path / "only-there"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    id = api.add("only-there", environment={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    api.ok(f"programs/{id}/start", {"wait": True})
    assert api.logs(id) == "found"


def test_real_servers_answer_on_their_port(api: Api, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("served")
    port = free_port()
    id = api.add(f"python3 -m http.server {port} --bind 127.0.0.1", directory=str(tmp_path), user=OWN_USER)
    api.ok(f"programs/{id}/start")
    eventually(lambda: page(port) == "served")
    api.ok(f"programs/{id}/stop")
    assert page(port) is None


def page(port: int) -> str | None:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=5).text
    except requests.ConnectionError:
        return None
