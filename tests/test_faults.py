"""What goes wrong around the programs: killed processes, taken addresses, the end of the stack."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from daemon_programs import transactions
from daemon_programs.exceptions import Busy
from tests.faults import no_configuration_folder
from tests.processes import LONG_RUNNING, environment, is_alive, shell, started, tree
from tests.stack import OWN_USER, Api, Stack, eventually, temporary_stack
from tests.temporary_programs import own_processes

UNREACHABLE = "supervisord can't be reached; nothing was changed"
MOST_WAITS = 4  # half of the threads


@pytest.fixture(scope="module")
def other() -> Iterator[Stack]:
    """A second, small stack besides the session's, whose processes are killed in many ways."""
    odd = {"DAEMON_PASS_ENVIRONMENT": "ODD", "ODD": "no \udcff UTF-8"}
    with temporary_stack(DAEMON_THREADS=str(MOST_WAITS * 2), **odd) as stack:
        yield stack.start()


def kept(stack: Stack) -> dict[str, Any]:
    """All that is written down of the programs."""
    return {
        "database": stack.api.get("programs").json(),
        "mirror": (stack.folder / "programs.json").read_text(),
        "configuration": {file.name: file.read_text() for file in (stack.folder / "conf.d").iterdir()},
    }


def health(stack: Stack) -> dict[str, Any] | None:
    with contextlib.suppress(requests.RequestException):
        answer = stack.client(None).get("health")
        return answer.json() if answer.status_code == 200 else None
    return None


# supervisord is killed


def test_killed_supervisord_is_a_503_and_the_next_start_is_healthy(own_stack: Stack) -> None:
    stack = own_stack.start()
    api = stack.api
    running = api.add(shell("(setsid sleep 1000 &) ; exec sleep 1000"), name="running")
    boots = api.add(boot=True, name="boots")
    off = api.add(enabled=False, name="off")
    api.ok(f"programs/{running}/start", {"wait": True})
    eventually(lambda: "off" in (stack.folder / "programs.json").read_text())
    survivors = tree(stack, running) + tree(stack, boots)
    assert len(survivors) == 3
    with stack.without_supervisord():
        check_that_changes_are_503(api, stack, running, off)
    before = kept(stack)
    stack.kill_supervisord()
    assert all(process.is_running() for process in survivors)
    check_that_the_next_start_is_healthy(stack, before, running, boots, survivors)


def check_that_changes_are_503(api: Api, stack: Stack, running: int, off: int) -> None:
    before = kept(stack)
    new = {"name": "new", "command": "true", "user": OWN_USER}
    for route, body in [
        ("programs/add", new),
        (f"programs/edit/{running}", {"environment": {"A": "1"}}),
        (f"programs/edit/{running}", {"description": "new"}),
        (f"programs/edit/{running}", {"enabled": False}),
        (f"programs/remove/{running}", {}),
        (f"programs/{running}/disable", {}),
        (f"programs/{off}/enable", {}),
        (f"programs/{running}/start", {}),
        (f"programs/{running}/stop", {}),
        (f"programs/{running}/restart", {"wait": True}),
    ]:
        assert api.refused(route, body, 503) == UNREACHABLE, route
        assert kept(stack) == before, route
    for route in ("status", f"status/{running}", "programs?include_status=true"):
        assert api.get(route).status_code == 503
    assert api.get(f"programs/{running}/logs").status_code == 200


def check_that_the_next_start_is_healthy(
    stack: Stack, before: object, running: int, boots: int, survivors: list[psutil.Process]
) -> None:
    stack.start()
    assert "processes that a killed stack had left behind" in stack.output.read_text()
    assert not any(is_alive(process) for process in survivors)
    assert kept(stack) == before
    api = stack.api
    assert api.word(running) == "stopped"
    assert len(tree(stack, boots)) == 1
    api.ok(f"programs/{running}/start", {"wait": True})
    assert len(tree(stack, running)) == 2
    assert stack.stop() == 0
    assert stack.processes() == []


def test_change_that_supervisord_has_no_time_for_is_not_made_later(other: Stack) -> None:
    api = other.api
    id, new = api.add(), {"name": "late", "command": "true", "user": OWN_USER}
    pid = started(api, id)
    supervisord = psutil.Process(other.supervisord_pid)
    with ThreadPoolExecutor(4) as pool:
        supervisord.suspend()
        try:
            late = [
                pool.submit(api.post, route, body)
                for route, body in (
                    (f"programs/{id}/stop", {}),
                    (f"programs/{id}/restart", {}),
                    ("programs/add", new),
                )
            ]
            for each in late:
                assert each.result().json()["error"] == UNREACHABLE
        finally:
            supervisord.resume()
    known = api.get("programs").json()["programs"]
    assert "late" not in [program["name"] for program in known]
    assert api.pid(id) == pid
    assert not [
        event for event in api.get(f"programs/{id}/events").json()["events"] if event["state"] == "stopping"
    ]


def test_environment_of_the_stack_need_not_be_text(other: Stack) -> None:
    """What it was started with is passed on byte by byte."""
    pid = started(other.api, other.api.add())
    assert environment(pid)[b"ODD"] == b"no \xff UTF-8"


# The configuration can't be written


def test_change_that_can_not_be_written_is_a_503_and_not_half_done(api: Api, stack: Stack) -> None:
    id = api.add(boot=True)
    pid = eventually(lambda: api.pid(id))
    eventually(lambda: f'"id": {id},' in (stack.folder / "programs.json").read_text())
    before = api.get("programs").json(), (stack.folder / "programs.json").read_text()
    with no_configuration_folder(stack):
        for route, body in (
            (f"programs/edit/{id}", {"environment": {"A": "1"}}),
            (f"programs/{id}/disable", {}),
        ):
            sentence = api.refused(route, body, 503)
            assert sentence == "The state of the daemon can't be written or read at the moment"
        log = (stack.folder / "stack-logs" / "api.log").read_text()
        assert "ERROR hoody_site.api.errors: ProgramViewSet.edit: [Errno 20] Not a directory" in log
        assert (api.get("programs").json(), (stack.folder / "programs.json").read_text()) == before
        assert api.pid(id) == pid
    assert api.ok(f"programs/edit/{id}", {"environment": {"A": "1"}})


def test_change_that_others_hold_up_for_too_long_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_PATIENCE_SECONDS", 0.01)
    sentence = r"take too long at the moment; nothing was changed$"
    with transactions._lock, pytest.raises(Busy, match=sentence), transactions.write_transaction():
        pytest.fail("it has begun")
    assert Busy.code == "busy"


def test_requests_for_other_hosts_fill_no_log(other: Stack) -> None:
    answer = other.client(None).session.get(
        f"{other.url}/api/v1/daemon/health", headers={"Host": "elsewhere.example"}, timeout=30
    )
    assert answer.status_code == 400
    assert "elsewhere.example" not in (other.folder / "stack-logs" / "api.log").read_text()


# A second stack


def test_second_stack_on_the_same_folder_says_so(api: Api, stack: Stack) -> None:
    pid = started(api, api.add())
    second = stack.manage("run_stack")
    assert second.returncode == 1
    assert second.stderr.strip() == (
        f"CommandError: A stack already runs on {stack.folder}: stop it first, or set DAEMON_STATE_DIR and "
        "DAEMON_BIND to run a second one"
    )
    assert psutil.pid_exists(pid)
    assert health(stack)


def test_taken_port_is_reported(stack: Stack, tmp_path: Path) -> None:
    second = Stack(tmp_path / "state")
    second.port = stack.port
    answer = second.manage("run_stack")
    assert answer.returncode == 1
    assert answer.stderr.strip() == (
        f"CommandError: 127.0.0.1:{stack.port} can't be used (Address already in use): stop what listens "
        "there, or set DAEMON_BIND to another host:port"
    )
    assert not second.processes()


@pytest.mark.parametrize(
    ("bind", "why"),
    [
        (
            "192.0.2.1:8000",
            "): no network interface of this host has this address; ",
        ),
        ("nowhere.invalid:8000", "): no address has this name; "),
    ],
)
def test_address_that_no_one_else_uses_is_not_said_to_be_taken(own_stack: Stack, bind: str, why: str) -> None:
    own_stack.environment["DAEMON_BIND"] = bind
    answer = own_stack.manage("run_stack")
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"CommandError: {bind} can't be used (")
    assert answer.stderr.endswith(f"{why}set DAEMON_BIND to another host:port\n")


def test_folders_where_files_belong_are_replaced(own_stack: Stack) -> None:
    api = own_stack.start().api
    id = api.add(LONG_RUNNING, boot=True)
    assert own_stack.stop() == 0
    misplaced = [
        own_stack.folder / "conf.d" / f"program-{id}.json",
        own_stack.folder / "conf.d" / "program-99.json",
        own_stack.folder / "conf.d" / ".program-98.json.1.tmp",
        own_stack.folder / "running" / "program-97",
        own_stack.folder / "changes.sock",
        own_stack.folder / "supervisor.sock",
        own_stack.folder / "supervisord.pid",
    ]
    for path in misplaced:
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "within").touch()
    own_stack.start()
    assert own_stack.api.until(id, "running")
    for path in misplaced:
        assert not path.is_dir(), path


@pytest.mark.parametrize("left", ["file", "dangling link", "socket"])
def test_leftover_socket_does_not_stop_the_start(own_stack: Stack, left: str) -> None:
    own_stack.folder.mkdir(mode=0o700)
    path = own_stack.folder / "changes.sock"
    if left == "file":
        path.touch()
    elif left == "dangling link":
        path.symlink_to("nowhere")
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    own_stack.prepare()
    assert not os.path.lexists(path)


def test_folder_in_place_of_a_program_file_is_replaced_by_a_change(own_stack: Stack) -> None:
    api = own_stack.start().api
    id = api.add(LONG_RUNNING)
    file = own_stack.folder / "conf.d" / f"program-{id}.json"
    file.unlink()
    file.mkdir()
    api.ok(f"programs/edit/{id}", {"description": "new"})
    assert file.is_file()


def test_folder_that_can_not_be_used_is_reported(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = Stack(tmp_path / "file" / "state").manage("run_stack")
    assert answer.returncode == 1
    assert answer.stderr.startswith("CommandError: The state folder can't be used: ")
    assert "Traceback" not in answer.stderr


def test_folder_of_others_is_not_taken_over(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / ".editor.1.tmp").touch()
    answer = Stack(tmp_path).manage("run_stack")
    assert answer.returncode == 1
    assert answer.stderr.strip() == (
        f"CommandError: The state folder can't be used: {tmp_path} holds other files: DAEMON_STATE_DIR must "
        "be a folder of its own"
    )
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert [file.name for file in tmp_path.iterdir()] == [".editor.1.tmp"]


def test_two_stacks_run_side_by_side(api: Api, stack: Stack, other: Stack) -> None:
    ids = [api.add(id=9001), other.api.add(id=9001)]
    assert ids == [9001, 9001]
    mine, theirs = started(api, 9001), started(other.api, 9001)
    assert [process.pid for process in tree(stack, 9001)] == [mine]
    assert [process.pid for process in tree(other, 9001)] == [theirs]
    other.api.ok("programs/remove/9001")
    assert api.pid(9001) == mine
    assert stack.client(other.token).get("programs").status_code == 401


# Parts of the stack are killed


def test_killed_worker_of_the_api_comes_back_and_programs_run_on(other: Stack) -> None:
    id = other.api.add()
    pid = started(other.api, id)
    worker = health(other)["pid"]
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: (now := health(other)) and now["pid"] != worker, 30)
    assert other.api.pid(id) == pid
    assert other.api.add()


def test_killed_api_comes_back_whole(other: Stack) -> None:
    worker = psutil.Process(health(other)["pid"])
    worker.parent().kill()
    eventually(lambda: (now := health(other)) and now["pid"] != worker.pid, 60)
    eventually(lambda: not worker.is_running())
    assert other.api.add()


@pytest.mark.parametrize("name", ["scheduler", "listener"])
def test_killed_part_of_the_stack_is_replaced_by_one(other: Stack, name: str) -> None:
    def parts() -> list[psutil.Process]:
        return own_processes(other, name)

    def leader() -> psutil.Process | None:
        found = [each for each in parts() if each.ppid() == other.supervisord_pid]
        return found[0] if len(found) == 1 else None

    old = eventually(lambda: len(found := parts()) == 1 and found, 30, f"{name} runs")
    eventually(leader).kill()
    eventually(lambda: len(found := parts()) == 1 and not set(found) & set(old), 60, f"{name} is replaced")
    assert health(other)


def test_sighup_restarts_the_stack_and_keeps_its_folder(other: Stack) -> None:
    boots, by_hand = other.api.add(boot=True), other.api.add()
    pids = eventually(lambda: other.api.pid(boots)), started(other.api, by_hand)
    before = [psutil.Process(pid) for pid in pids]  # by then others may have their numbers
    worker = health(other)["pid"]
    os.kill(other.supervisord_pid, signal.SIGHUP)
    eventually(lambda: (now := health(other)) and now["pid"] != worker, 60)
    assert not any(map(is_alive, before))
    assert len(eventually(lambda: tree(other, boots))) == 1
    assert other.api.word(by_hand) == "stopped"
    other.api.ok(f"programs/{by_hand}/start", {"wait": True})
    assert other.manage("run_stack").returncode == 1


# Too many wait; the end


def test_waits_leave_room_for_others_and_end_with_the_stack(other: Stack) -> None:
    """The last test of this module: it stops the second stack."""
    api = other.api
    *ids, late = [api.add(delay_seconds=3600) for _ in range(MOST_WAITS + 1)]

    def wait(id: int) -> requests.Response:
        return other.api.post(f"programs/{id}/start", {"wait": True, "timeout": 300})

    with ThreadPoolExecutor(MOST_WAITS) as pool:
        waiting = pool.map(wait, ids)
        for id in ids:
            api.until(id, "starting")
        for verb in ("start", "restart"):
            sentence = api.refused(f"programs/{late}/{verb}", {"wait": True}, 429)
            assert sentence == "Too many requests are waiting already; try again later"
            assert api.word(late) == "stopped"
        check_that_the_rest_goes_on(api, late)
        other.process.send_signal(signal.SIGINT)
        answers = list(waiting)
    # Each was answered at once, at the end of the API or of its program, whichever came first.
    ends = [(503, "The daemon is shutting down; what was asked for is under way")]
    ends += [(400, f"Program with ID {id} was stopped while it was starting") for id in ids]
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} <= set(ends)
    codes = {503: "shutting_down", 400: "refused"}
    assert all(answer.json()["code"] == codes[answer.status_code] for answer in answers)
    assert other.process.wait(60) == 0
    assert other.processes() == []


def check_that_the_rest_goes_on(api: Api, id: int) -> None:
    api.ok(f"programs/{id}/start")
    api.ok(f"programs/edit/{id}", {"environment": {"A": "1"}})
    api.ok(f"programs/{id}/stop")
    api.ok(f"programs/remove/{id}")
