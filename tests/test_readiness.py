"""``ready_port``: a program is ready when 127.0.0.1 accepts connections on it."""

import socket
import time
from typing import Any

import pytest

from daemon_programs.programs.observed import readiness
from tests.processes import LONG_RUNNING, python, started
from tests.stack import OWN_USER, Api, eventually, free_port

SERVES = """
import socket, sys, time
time.sleep(float(sys.argv[2]))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("open", flush=True)
time.sleep(1000)
"""


def server(port: int, after: float = 0) -> str:
    """A command that opens a port some seconds after its start."""
    return python(f"exec({SERVES!r})", str(port), str(after))


def test_wait_waits_for_the_port(api: Api) -> None:
    port = free_port()
    id = api.add(server(port, after=2), ready_port=port)
    api.ok(f"programs/{id}/start", {"wait": True})
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    assert api.logs(id) == "open"


def test_wait_of_restart_waits_for_the_port_too(api: Api) -> None:
    port = free_port()
    id = api.add(server(port, after=1.5), ready_port=port)
    started(api, id)
    api.ok(f"programs/{id}/restart", {"wait": True})
    assert api.status(id)["status"]["ready"] is True


def test_wait_waits_for_what_runs_already_too(api: Api) -> None:
    port = free_port()
    id = api.add(server(port, after=2), ready_port=port)
    started(api, id)
    answer = api.ok(f"programs/{id}/start", {"wait": True, "if_not_running": True})
    assert answer == {"success": True, "already_running": True}
    assert api.status(id)["status"]["ready"] is True


def test_without_a_ready_port_running_is_enough(api: Api) -> None:
    id = api.add(server(free_port(), after=1000))
    api.ok(f"programs/{id}/start", {"wait": True})
    assert "ready" not in api.status(id)["status"]


def test_without_wait_the_port_is_not_waited_for(api: Api) -> None:
    id = api.add(LONG_RUNNING, ready_port=free_port())
    began = time.monotonic()
    api.ok(f"programs/{id}/start")
    assert time.monotonic() - began < 10


def test_port_that_never_opens_is_a_504(api: Api) -> None:
    id = api.add(LONG_RUNNING, ready_port=free_port())
    sentence = api.refused(f"programs/{id}/start", {"wait": True, "timeout": 2}, code=504)
    assert sentence == f"Program with ID {id} is not ready after 2 seconds"
    # It runs all the same: the client may query it again.
    status = api.status(id)["status"]
    assert (status["status"], status["ready"]) == ("running", False)


def test_program_that_ends_while_it_is_waited_for_is_reported(api: Api) -> None:
    id = api.add("sh -c 'sleep 1.5; exit 3'", ready_port=free_port(), autorestart="false")
    sentence = api.refused(f"programs/{id}/start", {"wait": True})
    assert sentence == f"Program with ID {id} did not start: it ended with exit code 3"


def test_status_says_ready_as_it_is_at_the_moment(api: Api) -> None:
    port = free_port()
    id = api.add(LONG_RUNNING, ready_port=port)
    assert api.status(id)["status"] == {"id": id, "status": "stopped", "ready": False}
    api.ok(f"programs/{id}/start")
    api.until(id, "running")
    assert api.status(id)["status"]["ready"] is False
    with socket.create_server(("127.0.0.1", port)):
        assert api.status(id)["status"]["ready"] is True
    eventually(lambda: api.status(id)["status"]["ready"] is False)


def test_stopped_program_is_not_ready_though_its_port_is_taken(api: Api) -> None:
    port = free_port()
    id = api.add(LONG_RUNNING, ready_port=port)
    with socket.create_server(("127.0.0.1", port)):
        assert api.status(id)["status"]["ready"] is False


def test_change_of_the_ready_port_leaves_what_runs_alone(api: Api) -> None:
    id = api.add(LONG_RUNNING)
    pid = started(api, id)
    port = free_port()
    edited = api.ok(f"programs/edit/{id}", {"ready_port": port})["program"]
    assert edited["ready_port"] == port
    assert api.pid(id) == pid
    assert "ready_port" not in api.ok(f"programs/edit/{id}", {"ready_port": None})["program"]


@pytest.mark.parametrize("value", [0, -1, 65536, 10**20])
def test_ready_port_is_a_port(api: Api, value: int) -> None:
    assert refusals(api, value) == {"Field 'ready_port' must be between 1 and 65535"}


@pytest.mark.parametrize("value", ["80", 80.0, True, [80]])
def test_ready_port_is_an_integer(api: Api, value: Any) -> None:
    assert refusals(api, value) == {"Field 'ready_port' must be an integer"}


def refusals(api: Api, value: Any) -> set[str]:
    body = {"name": "new", "command": "true", "user": OWN_USER, "ready_port": value}
    return {
        api.refused("programs/add", body),
        api.refused(f"programs/edit/{api.add()}", {"ready_port": value}),
    }


@pytest.mark.parametrize("value", [1, 65535])
def test_every_port_can_be_one(api: Api, value: int) -> None:
    assert api.get(f"programs/{api.add(ready_port=value)}").json()["program"]["ready_port"] == value


def test_port_range_has_no_ready_port(api: Api) -> None:
    ports = {"start": 64000, "end": 64001}
    body = {"name": "new", "command": "true", "user": OWN_USER, "port_range": ports, "ready_port": 64000}
    expected = "Field 'ready_port' can't be combined with port_range"
    assert api.refused("programs/add", body) == expected
    assert api.refused(f"programs/edit/{api.add(port_range=ports)}", {"ready_port": 80}) == expected
    assert (
        api.refused(f"programs/edit/{api.add(ready_port=80)}", {"port_range": {"start": 1, "end": 1}})
        == expected
    )


def test_accepts_means_that_a_server_takes_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert readiness.accepts(port)
    assert not readiness.accepts(port)


def test_probe_never_takes_itself_for_the_program() -> None:
    """When a socket connects to an unused port often enough, the kernel connects it to itself."""
    odd = next(port for port in range(40001, 60000, 2) if is_free(port) and is_free(port + 1))
    for port in (odd, odd + 1):
        assert not any(readiness.accepts(port) for _ in range(30_000))


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
