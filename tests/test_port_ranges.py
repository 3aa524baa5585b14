"""Port ranges: one process for each port (docs/contract.md, sections 3 and 4)."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.processes import arguments, environment, shell, started, tree
from tests.stack import OWN_USER, Api, Stack, eventually

PORTS = {"start": 64000, "end": 64002}
SLEEP = "sleep 1000 {port}"


def in_range(api: Api, command: str = SLEEP, **fields: Any) -> int:
    return api.add(command, **{"port_range": PORTS, **fields})


def test_start_without_a_port_is_refused(api: Api) -> None:
    id = in_range(api)
    for verb in ("start", "restart"):
        assert api.refused(f"programs/{id}/{verb}", {}) == (
            "Port parameter required for port-range programs. Available range: 64000-64002"
        )
    assert api.get(f"programs/{id}/logs").json()["error"] == (
        "Port parameter required for port-range programs. Available range: 64000-64002"
    )


def test_stop_needs_a_port_or_all(api: Api) -> None:
    id = in_range(api)
    for body in ({}, {"all": False}):
        assert api.refused(f"programs/{id}/stop", body) == (
            'Port parameter or "all: true" required to stop port-range program instances'
        )


@pytest.mark.parametrize("port", [1, 63999, 64003, 65535])
def test_port_outside_of_the_range_is_refused(api: Api, port: int) -> None:
    id = in_range(api)
    sentence = f"Port {port} is outside valid range [64000-64002]"
    for verb in ("start", "stop", "restart"):
        assert api.refused(f"programs/{id}/{verb}", {"port": port}) == sentence
    for route in (f"status/{id}", f"programs/{id}/logs"):
        answer = api.get(route, port=port)
        assert (answer.status_code, answer.json()["error"]) == (400, sentence)


def test_port_and_all_are_not_combined(api: Api) -> None:
    id = in_range(api)
    for verb in ("start", "stop", "restart"):
        sentence = api.refused(f"programs/{id}/{verb}", {"port": 64000, "all": True})
        assert sentence == "Port parameter and all: true can't be combined"


def test_one_instance_is_started_alone(api: Api) -> None:
    id = in_range(api, name="one of three")
    answer = api.ok(f"programs/{id}/start", {"port": 64001})
    assert answer["instance"].keys() >= {"port", "instance_name", "status"}
    assert answer["instance"]["port"] == 64001
    assert answer["instance"]["instance_name"] == "one of three_64001"
    assert answer["instance"]["status"] == "starting"
    assert [each["port"] for each in api.status(id)["instances"]] == [64001]


def test_start_with_wait_shows_the_running_instance(api: Api) -> None:
    id = in_range(api, name="waited for")
    instance = api.ok(f"programs/{id}/start", {"port": 64000, "wait": True})["instance"]
    uptime = instance.pop("uptime")
    assert uptime.startswith("0:00:0")
    assert instance == {
        "port": 64000, "instance_name": "waited for_64000", "status": "running",
        "pid": api.status(id, port=64000)["instance"]["pid"],
    }  # fmt: skip


def test_starting_an_instance_that_runs_changes_nothing(api: Api) -> None:
    id = in_range(api, name="twice")
    pid = started(api, id, 64000)
    answer = api.ok(f"programs/{id}/start", {"port": 64000})
    assert answer["instance"]["pid"] == pid
    assert "already_running" not in answer
    answer = api.ok(f"programs/{id}/start", {"port": 64000, "if_not_running": True})
    assert answer["already_running"] is True
    assert answer["instance"]["pid"] == pid
    answer = api.ok(f"programs/{id}/start", {"port": 64001, "if_not_running": True})
    assert answer["already_running"] is False
    assert answer["instance"]["port"] == 64001


def test_start_of_a_disabled_port_range_is_refused(api: Api) -> None:
    id = in_range(api, enabled=False)
    assert api.refused(f"programs/{id}/start", {"port": 64000}) == f"Program with ID {id} is disabled"


def test_all_are_started_and_stopped(api: Api, stack: Stack) -> None:
    id = in_range(api)
    pid = started(api, id, 64001)
    assert api.ok(f"programs/{id}/start", {"all": True}) == {"success": True}
    instances = {each["port"]: each["pid"] for each in api.status(id)["instances"]}
    assert instances.keys() == {64000, 64001, 64002}
    assert instances[64001] == pid
    assert api.ok(f"programs/{id}/stop", {"all": True}) == {"success": True}
    assert tree(stack, id) == []
    assert api.status(id)["instances"] == []


def test_one_instance_is_stopped_alone(api: Api) -> None:
    id = in_range(api, boot=True)
    assert api.ok(f"programs/{id}/stop", {"port": 64001}) == {"success": True}
    assert api.ok(f"programs/{id}/stop", {"port": 64001}) == {"success": True}
    assert [each["port"] for each in api.status(id)["instances"]] == [64000, 64002]


def test_killed_instance_comes_back_alone(api: Api) -> None:
    id = in_range(api)
    pids = {port: started(api, id, port) for port in (64000, 64001)}
    eventually(lambda: api.status(id)["running_count"] == 2)
    os.kill(pids[64000], signal.SIGKILL)
    eventually(lambda: api.status(id, port=64000)["instance"].get("pid") not in (None, pids[64000]))
    assert api.status(id, port=64001)["instance"]["pid"] == pids[64001]
    assert api.status(id, port=64000)["last_run"]["signal"] == "SIGKILL"
    assert "last_run" not in api.status(id, port=64001)


# How the port reaches the command

COMMANDS = [
    ("x", None, ["x", "--port", "64001"]),
    ("x", "-p", ["x", "-p", "64001"]),
    ("x", "--listen=", ["x", "--listen=64001"]),
    ("x", "serve --on", ["x", "serve", "--on", "64001"]),
    ("x", "'two words'", ["x", "two words", "64001"]),
    ("x {port}", None, ["x", "64001"]),
    ("x --at=127.0.0.1:{port}/ {port}{port}", "-p", ["x", "--at=127.0.0.1:64001/", "6400164001"]),
    ("x '{port}'", None, ["x", "64001"]),
]


@pytest.mark.parametrize(("end", "port_param", "expected"), COMMANDS)
def test_port_reaches_the_command(api: Api, end: str, port_param: str | None, expected: list[str]) -> None:
    id = in_range(api, f"sh -c 'sleep 1000; :' {end}", port_param=port_param)
    pid = started(api, id, 64001)
    assert arguments(pid) == [b"sh", b"-c", b"sleep 1000; :", *(each.encode() for each in expected)]
    assert environment(pid)[b"PORT"] == b"64001"


def test_program_may_set_port_itself(api: Api) -> None:
    id = in_range(api, environment={"PORT": "{port}"})
    assert environment(started(api, id, 64000))[b"PORT"] == b"{port}"  # a placeholder in commands only


def test_ordinary_program_has_neither_port_nor_placeholder(api: Api) -> None:
    pid = started(api, api.add("sh -c 'sleep 1000; :' {port}"))
    assert arguments(pid)[-1] == b"{port}"
    assert b"PORT" not in environment(pid)


# Logs


def test_each_instance_has_its_own_logs(api: Api, stack: Stack) -> None:
    id = in_range(
        api, shell("echo out {port}; echo err {port} >&2; exec sleep 1000"), name="logs of three", boot=True
    )
    folder = stack.folder / "logs" / "logs of three"
    for port in (64000, 64002):
        assert eventually(lambda port=port: api.logs(id, port=port)) == f"out {port}"
        assert eventually(lambda port=port: api.logs(id, port=port, type="stderr")) == f"err {port}"
        log = Path(api.get(f"programs/{id}/logs", port=port).json()["log_file"])
        assert log == folder / f"stdout_{port}.log"


@pytest.mark.parametrize(
    ("path", "of_instance"),
    [("out.log", "out_64000.log"), ("out", "out_64000"), ("{port}/out.log", "64000/out.log")],
)
def test_chosen_log_is_one_for_each_instance(api: Api, tmp_path: Path, path: str, of_instance: str) -> None:
    id = in_range(api, shell("echo {port}; exec sleep 1000"), stdout_logfile=str(tmp_path / path))
    started(api, id, 64000)
    eventually(
        lambda: (tmp_path / of_instance).exists() and (tmp_path / of_instance).read_text() == "64000\n"
    )
    assert api.get(f"programs/{id}").json()["program"]["stdout_logfile"] == str(tmp_path / path)


# Statuses: the three shapes


def test_status_lists_what_is_not_stopped(api: Api) -> None:
    command = shell("test {port} != 64002 && exec sleep 1000; exit 3")
    id = in_range(api, command, name="shapes", autorestart="false")
    for port in (64000, 64002):
        api.ok(f"programs/{id}/start", {"port": port})
    answer = eventually(lambda: (now := api.status(id))["instances"][-1]["status"] == "exited" and now)
    first, last = answer.pop("instances")
    assert answer == {"success": True, "running_count": answer["running_count"], "total_count": 3}
    assert first.keys() >= {"port", "instance_name", "status", "pid", "uptime"}
    assert last == {"port": 64002, "instance_name": "shapes_64002", "status": "exited"}
    eventually(lambda: api.status(id)["running_count"] == 1)
    assert api.status(id, port=64001) == {
        "success": True,
        "instance": {"port": 64001, "instance_name": "shapes_64001", "status": "stopped"},
    }
    assert api.status(id, port=64002)["last_run"]["exit_code"] == 3


def test_list_counts_instances_and_shows_those_that_are_not_stopped(api: Api) -> None:
    id = in_range(api)
    started(api, id, 64001)
    program = next(
        each for each in api.get("programs", include_status="true").json()["programs"] if each["id"] == id
    )
    status = program["status"]
    assert (status["type"], status["total_instances"]) == ("port-range", 3)
    assert [each["port"] for each in status["instances"]] == [64001]
    eventually(lambda: listed(api, id)["running_instances"] == 1)


def listed(api: Api, id: int) -> dict[str, Any]:
    programs = api.get("programs", include_status="true").json()["programs"]
    return next(each["status"] for each in programs if each["id"] == id)  # type: ignore[no-any-return]


def test_all_statuses_show_a_port_range_as_running_while_any_instance_runs(api: Api) -> None:
    id = in_range(api)

    def flat() -> dict[str, Any]:
        statuses = api.get("status").json()["statuses"]
        return next(each["status"] for each in statuses if each["id"] == id)  # type: ignore[no-any-return]

    assert flat() == {"id": id, "status": "stopped"}
    api.ok(f"programs/{id}/start", {"port": 64000})
    assert flat() == {"id": id, "status": "starting"}
    api.ok(f"programs/{id}/start", {"port": 64001, "wait": True})
    assert flat() == {"id": id, "status": "running"}
    api.ok(f"programs/{id}/stop", {"all": True})
    assert flat() == {"id": id, "status": "stopped"}


# Overlap


def overlap(api: Api, id: int | None, start: int, end: int) -> tuple[int, str]:
    ports = {"port_range": {"start": start, "end": end}}
    body = ports if id else {"name": "new", "command": "true", "user": OWN_USER, **ports}
    answer = api.post(f"programs/edit/{id}" if id else "programs/add", body)
    return answer.status_code, answer.json().get("error", "")


@pytest.mark.parametrize(
    ("start", "end"), [(64000, 64002), (64001, 64001), (63990, 64000), (64002, 64010), (63990, 64010)]
)
def test_overlap_is_refused_and_the_other_program_named(api: Api, start: int, end: int) -> None:
    in_range(api, name="the other")
    sentence = "Port range overlaps with program 'the other' [64000-64002]"
    assert overlap(api, None, start, end) == (400, sentence)
    assert overlap(api, api.add(), start, end) == (400, sentence)


@pytest.mark.parametrize(("start", "end"), [(63990, 63999), (64003, 64003)])
def test_adjacent_range_is_fine(api: Api, start: int, end: int) -> None:
    in_range(api)
    assert overlap(api, api.add(), start, end) == (200, "")
    assert overlap(api, None, start, end)[0] == 400  # which that one has now


def test_own_range_does_not_overlap(api: Api) -> None:
    id = in_range(api)
    assert overlap(api, id, 64001, 64005) == (200, "")


def test_range_of_a_removed_program_is_free(api: Api) -> None:
    api.ok(f"programs/remove/{in_range(api)}")
    assert in_range(api)


def test_lazy_range_starts_nothing(api: Api, stack: Stack) -> None:
    id = in_range(api, lazy_load=True)
    assert api.status(id) == {"success": True, "instances": [], "running_count": 0, "total_count": 3}
    started(api, id, 64002)
    assert len(tree(stack, id)) == 1


def test_thousand_ports_disturb_no_other_program(api: Api, stack: Stack) -> None:
    other = api.add()
    pid = started(api, other)
    id = api.add(SLEEP, port_range={"start": 50_000, "end": 50_999}, name="thousand")
    status = listed(api, id)
    assert (status["total_instances"], status["instances"]) == (1000, [])
    for port in (50_000, 50_500, 50_999):
        started(api, id, port)
    assert [each["port"] for each in api.status(id)["instances"]] == [50_000, 50_500, 50_999]
    api.ok(f"programs/edit/{id}", {"environment": {"A": "1"}})
    api.ok(f"programs/remove/{id}")
    assert tree(stack, id) == []
    assert api.pid(other) == pid


@pytest.mark.parametrize("asked", ["true", "TRUE"])
def test_instances_have_stats_if_the_status_asks_for_them(api: Api, asked: str) -> None:
    id = in_range(api, name="measured")
    started(api, id, 64000)
    [instance] = api.status(id, include_stats=asked)["instances"]
    assert instance["stats"]["pid"] == instance["pid"]
    assert instance["stats"]["process_count"] >= 1
    for query in ({}, {"include_stats": "false"}):
        [instance] = api.status(id, **query)["instances"]
        assert "stats" not in instance
    answer = api.get(f"status/{id}", include_stats="1")
    assert answer.json()["error"] == "Query parameter 'include_stats' must be 'true' or 'false'"


def test_stats_of_a_single_program_need_not_be_asked_for(api: Api) -> None:
    id = api.add()
    started(api, id)
    for query in ({}, {"include_stats": "false"}, {"include_stats": "true"}):
        assert api.status(id, **query)["stats"]["process_count"] == 1
