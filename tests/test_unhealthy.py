"""``health``: a running program that fails its probe is restarted, or only marked."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import LONG_RUNNING, is_root, python, shell, started
from tests.stack import OTHER_USER, Api, Stack, eventually, free_port
from tests.test_probes import web_server

QUICK = {"interval": 1, "timeout": 1, "failures": 2}


def last_run(api: Api, id: int) -> dict[str, Any]:
    return api.status(id).get("last_run", {})  # type: ignore[no-any-return]


def test_web_server_that_hangs_is_restarted_and_its_history_says_why(api: Api) -> None:
    port = free_port()
    id = api.add(
        web_server(port), health={"http": f"http://127.0.0.1:{port}/ok", **QUICK}, stop_grace_seconds=1
    )
    pid = started(api, id)
    eventually(lambda: api.status(id)["status"].get("healthy") is True)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: api.pid(id) not in (None, pid), 30)
    assert last_run(api, id)["reason"] == "unhealthy"
    events = api.get(f"programs/{id}/events").json()["events"]
    assert "unhealthy" in {event["by"] for event in events}
    eventually(lambda: api.status(id)["status"].get("healthy") is True)


def test_with_action_none_it_is_only_marked(api: Api, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    id = api.add(LONG_RUNNING, health={"command": f"test -e {flag}", "action": "none", **QUICK})
    pid = started(api, id)
    eventually(lambda: api.status(id)["status"].get("healthy") is True)
    flag.unlink()
    status = eventually(lambda: (s := api.status(id)["status"]).get("healthy") is False and s)
    assert status["unhealthy_because"] == "its command ended with exit code 1"
    flag.touch()
    eventually(lambda: api.status(id)["status"].get("healthy") is True)
    assert "unhealthy_because" not in api.status(id)["status"]
    assert api.pid(id) == pid


def test_failures_count_only_in_a_row(api: Api, tmp_path: Path) -> None:
    turn = tmp_path / "turn"
    script = f"if test -e {turn}; then rm {turn}; exit 1; else touch {turn}; fi"
    id = api.add(LONG_RUNNING, health={"command": shell(script), **QUICK})
    pid = started(api, id)
    time.sleep(5)
    assert api.pid(id) == pid


def test_failures_before_the_first_success_have_grace(api: Api) -> None:
    forgiven = api.add(LONG_RUNNING, health={"command": "false", **QUICK})
    pid = started(api, forgiven)
    id = api.add(LONG_RUNNING, health={"command": "false", "grace_seconds": 2, **QUICK})
    started(api, id)
    eventually(lambda: last_run(api, id).get("reason") == "unhealthy", 20)
    assert api.pid(forgiven) == pid
    assert "healthy" not in api.status(forgiven)["status"]


def test_only_the_instance_that_fails_is_restarted(api: Api, tmp_path: Path) -> None:
    ports = {"start": 64020, "end": 64021}
    id = api.add(
        shell("sleep 1000"),
        port_range=ports,
        health={"command": f"test -e {tmp_path}/{{port}}", "grace_seconds": 1, **QUICK},
    )
    (tmp_path / "64020").touch()
    pids = {port: started(api, id, port) for port in (64020, 64021)}
    eventually(lambda: api.status(id, port=64021).get("last_run", {}).get("reason") == "unhealthy", 20)
    assert api.status(id, port=64020)["instance"]["pid"] == pids[64020]
    assert api.status(id, port=64020)["instance"]["healthy"] is True


NOTIFIES = """
import os, socket, sys, time
def notify(text):
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address.replace("@", chr(0), 1))
        sender.send(text.encode())
time.sleep(float(sys.argv[1]))
notify("READY=1\\nSTATUS=Serving 3 clients")
for _ in range(int(sys.argv[2])):
    notify("WATCHDOG=1")
    time.sleep(float(os.environ["WATCHDOG_USEC"]) / 2e6)
time.sleep(1000)
"""


def test_notify_program_is_ready_when_it_says_so(api: Api) -> None:
    id = api.add(python(NOTIFIES, "2.5", "0"), ready={"notify": True})
    began = time.monotonic()
    api.ok(f"programs/{id}/start", {"wait": True})
    assert time.monotonic() - began >= 2.4
    status = api.status(id)["status"]
    assert (status["ready"], status["told"]) == (True, "Serving 3 clients")
    api.ok(f"programs/{id}/restart")
    assert api.status(id)["status"]["ready"] is False


@pytest.mark.skipif(not is_root(), reason="only root can run programs of others")
def test_programs_of_other_users_can_notify_too(api: Api) -> None:
    command = python(NOTIFIES, "0", "0").replace(python("").split()[0], "python3", 1)
    id = api.add(command, user=OTHER_USER, directory="/", ready={"notify": True})
    api.ok(f"programs/{id}/start", {"wait": True, "timeout": 10})


def test_watchdog_that_is_not_fed_restarts_the_program(api: Api) -> None:
    id = api.add(python(NOTIFIES, "0", "6"), health={"notify": True, "interval": 1, "failures": 2})
    pid = started(api, id)
    eventually(lambda: api.status(id)["status"].get("healthy") is True)
    eventually(lambda: api.pid(id) not in (None, pid), 30)
    assert last_run(api, id)["reason"] == "unhealthy"


def test_nobody_can_notify_for_another_program(api: Api) -> None:
    id = api.add(LONG_RUNNING, ready={"notify": True})
    pid = started(api, id)
    address = next(
        part.partition(b"=")[2]
        for part in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if part.startswith(b"NOTIFY_SOCKET=")
    ).decode()
    other = api.add(python(NOTIFIES, "0", "0"), environment={"NOTIFY_SOCKET": address})
    api.ok(f"programs/{other}/start", {"wait": True})
    notify_from_here(address)
    time.sleep(1)
    assert api.status(id)["status"]["ready"] is False
    assert "ready" not in api.status(other)["status"]


def notify_from_here(address: str) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(address.replace("@", "\0", 1))
        sender.send(b"READY=1")


def test_programs_that_were_not_told_to_don_t_notify(api: Api) -> None:
    id = api.add(LONG_RUNNING)
    pid = started(api, id)
    assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_health_holds_while_the_api_is_down(own_stack: Stack, tmp_path: Path) -> None:
    api = own_stack.start().api
    flag = tmp_path / "flag"
    flag.touch()
    id = api.add(LONG_RUNNING, health={"command": f"test -e {flag}", **QUICK})
    pid = started(api, id)
    eventually(lambda: api.status(id)["status"].get("healthy") is True)
    own = [process for process, owner in own_stack.owners().items() if owner.group == "api"]
    for process in own:
        process.suspend()
    flag.unlink()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 20)
    for process in own:
        process.resume()
    assert eventually(lambda: last_run(api, id).get("reason")) == "unhealthy"
