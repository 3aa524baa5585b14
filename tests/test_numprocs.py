"""``numprocs``: several equal processes, chosen by ``instance`` as the ports of a range are by ``port``."""

import os
import signal
from typing import Any

import pytest

from tests.processes import arguments, environment, is_past_exec, shell, tree
from tests.stack import Api, Stack, eventually

ALL = {"all": True, "wait": True, "timeout": 60}
NUMPROCS_WORD = "Instance parameter required for numprocs programs. Available range: 0-2"
SLEEP = "sleep 1000"


def several(api: Api, command: str = SLEEP, **fields: Any) -> int:
    return api.add(command, **{"numprocs": 3, **fields})


def running(api: Api, command: str = SLEEP, **fields: Any) -> int:
    """A program all of whose instances run."""
    id = several(api, command, **fields)
    api.ok(f"programs/{id}/start", ALL)
    return id


def started(api: Api, id: int, number: int) -> int:
    """Start an instance and wait until its own process is there, past the fork: its pid."""
    api.ok(f"programs/{id}/start", {"instance": number})
    pid = eventually(lambda: api.status(id, instance=number)["instance"].get("pid"))
    eventually(lambda: is_past_exec(pid, id))
    return int(pid)


def pids(api: Api, id: int) -> dict[int, int | None]:
    return {each["instance"]: each.get("pid") for each in api.status(id)["instances"]}


def name_of(api: Api, id: int) -> str:
    return str(api.get(f"programs/{id}").json()["program"]["name"])


def listed(api: Api, id: int, **query: Any) -> dict[str, Any]:
    programs = api.get("programs", **{"include_status": "true", **query}).json()["programs"]
    return next(each["status"] for each in programs if each["id"] == id)  # type: ignore[no-any-return]


# The choice of an instance

TARGETS: list[tuple[str, dict[str, Any]]] = [
    ("start", {}),
    ("stop", {}),
    ("restart", {}),
    ("signal", {"signal": "HUP"}),
    ("reload", {}),
    ("input", {"text": "x"}),
]
of_each_verb = pytest.mark.parametrize(("verb", "body"), TARGETS)


@of_each_verb
def test_instance_must_be_one_of_the_program(api: Api, verb: str, body: dict[str, Any]) -> None:
    id, ranged = several(api), api.add(SLEEP, port_range={"start": 64310, "end": 64312})
    single = api.add()
    route = f"programs/{id}/{verb}"
    assert api.refused(route, {**body, "instance": 3}) == "Instance 3 is outside valid range [0-2]"
    assert api.refused(route, {**body, "port": 1}) == f"Program with ID {id} has no port range"
    for other in (single, ranged):
        sentence = api.refused(f"programs/{other}/{verb}", {**body, "instance": 0})
        assert sentence == f"Program with ID {other} has no numbered instances"
    both = {**body, "instance": 0, "port": 1}
    assert api.refused(route, both) == "Field 'instance' can't be combined with port"
    for wrong in (-1, 1000):
        sentence = api.refused(route, {**body, "instance": wrong})
        assert sentence == "Field 'instance' must be between 0 and 999"
    assert api.refused(route, {**body, "instance": "0"}) == "Field 'instance' must be an integer"


@pytest.mark.parametrize("route", ["status/{}", "programs/{}/logs", "programs/{}/logs/stream"])
def test_instance_in_a_query_must_be_one_of_the_program(api: Api, route: str) -> None:
    id, single = several(api), api.add()

    def refused(id: int, **query: Any) -> str:
        answer = api.get(route.format(id), **query)
        assert answer.status_code == 400, answer.text
        return str(answer.json()["error"])

    assert refused(id, instance=3) == "Instance 3 is outside valid range [0-2]"
    assert refused(id, port=64000) == f"Program with ID {id} has no port range"
    assert refused(single, instance=0) == f"Program with ID {single} has no numbered instances"
    assert refused(id, instance=0, port=1) == "Query parameter 'instance' can't be combined with port"
    for wrong in (-1, 1000, "x"):
        sentence = refused(id, instance=wrong)
        assert sentence == "Query parameter 'instance' must be an integer between 0 and 999"
    if "logs" in route:
        assert refused(id) == NUMPROCS_WORD


def test_instance_or_all_is_required(api: Api) -> None:
    id = several(api, reload={"signal": "HUP"}, stdin="pipe")
    for verb, body in TARGETS:
        said = api.refused(f"programs/{id}/{verb}", body)
        if verb in ("stop", "signal", "reload"):
            assert said == f'Instance parameter or "all: true" required to {verb} numprocs program instances'
        else:
            assert said == NUMPROCS_WORD
        if verb != "input":
            said = api.refused(f"programs/{id}/{verb}", {**body, "instance": 0, "all": True})
            assert said == "Instance parameter and all: true can't be combined"


# Processes


def test_each_knows_its_number(api: Api) -> None:
    id = running(api, "sh -c 'sleep 1000; :' n={instance} {instance}{instance} {port}")
    for number, pid in pids(api, id).items():
        assert arguments(pid or 0)[3:] == [f"n={number}".encode(), f"{number}{number}".encode(), b"{port}"]
        assert environment(pid or 0)[b"INSTANCE"] == str(number).encode()
        assert b"PORT" not in environment(pid or 0)


def test_nothing_is_appended_to_a_command_without_the_placeholder(api: Api) -> None:
    id = several(api, "sh -c 'sleep 1000; :' x", environment={"INSTANCE": "{instance}"})
    pid = started(api, id, 2)
    assert arguments(pid) == [b"sh", b"-c", b"sleep 1000; :", b"x"]
    assert environment(pid)[b"INSTANCE"] == b"{instance}"  # of the program itself: no placeholder


def test_program_with_one_process_is_what_it_was(api: Api, stack: Stack) -> None:
    command = "sh -c 'echo {instance}; sleep 1000; :' {instance}"
    id = api.add(command, numprocs=1)
    assert "numprocs" not in api.get(f"programs/{id}").json()["program"]
    api.ok(f"programs/{id}/start", {"wait": True})
    assert set(api.status(id)) == {"success", "status", "stats"}
    pid = api.pid(id) or 0
    assert arguments(pid)[-1] == b"{instance}"
    assert b"INSTANCE" not in environment(pid)
    assert api.logs(id) == "{instance}"
    assert api.get(f"programs/{id}/logs").json()["log_file"].endswith("/stdout.log")


def test_one_is_started_and_stopped_alone(api: Api) -> None:
    id = several(api, name="crew")
    instance = api.ok(f"programs/{id}/start", {"instance": 1, "wait": True})["instance"]
    pid = instance["pid"]
    assert instance.pop("uptime").startswith("0:00:0")
    assert instance == {"instance": 1, "instance_name": "crew_1", "status": "running", "pid": pid}
    answer = api.ok(f"programs/{id}/start", {"instance": 1, "if_not_running": True})
    assert (answer["already_running"], answer["instance"]["pid"]) == (True, pid)
    assert pids(api, id) == {1: pid}
    api.ok(f"programs/{id}/start", {"instance": 0, "wait": True})
    api.ok(f"programs/{id}/restart", {"instance": 1, "wait": True})
    assert pids(api, id)[1] != pid
    api.ok(f"programs/{id}/stop", {"instance": 1})
    assert list(pids(api, id)) == [0]


def test_all_are_started_and_stopped(api: Api, stack: Stack) -> None:
    id = running(api)
    assert list(pids(api, id)) == [0, 1, 2]
    assert len(tree(stack, id)) == 3
    api.ok(f"programs/{id}/stop", {"all": True})
    assert tree(stack, id) == []
    assert api.status(id) == {"success": True, "instances": [], "running_count": 0, "total_count": 3}


def test_boot_starts_all_and_a_killed_one_comes_back_alone(api: Api) -> None:
    id = several(api, boot=True)
    eventually(lambda: api.status(id)["running_count"] == 3)
    before = pids(api, id)
    os.kill(before[2] or 0, signal.SIGKILL)
    eventually(lambda: pids(api, id)[2] not in (None, before[2]))
    assert [pids(api, id)[number] for number in (0, 1)] == [before[0], before[1]]
    assert api.status(id, instance=2)["last_run"]["signal"] == "SIGKILL"
    assert api.status(id, instance=2)["restarts"] == 1
    assert "last_run" not in api.status(id, instance=1)


def test_thousand_disturb_no_other_program(api: Api, stack: Stack) -> None:
    other = api.add()
    api.ok(f"programs/{other}/start", {"wait": True})
    pid = api.pid(other)
    id = api.add(SLEEP, numprocs=1000)
    assert listed(api, id) == {
        "type": "numprocs", "running_instances": 0, "total_instances": 1000, "instances": [],
    }  # fmt: skip
    for number in (0, 999):
        started(api, id, number)
    assert list(pids(api, id)) == [0, 999]
    api.ok(f"programs/edit/{id}", {"environment": {"A": "1"}})
    api.ok(f"programs/remove/{id}")
    assert tree(stack, id) == []
    assert api.pid(other) == pid


# Edits: as of a port range


def test_more_or_fewer_instances_keep_running_those_that_ran(api: Api, stack: Stack) -> None:
    id = running(api)
    before = pids(api, id)
    assert api.ok(f"programs/edit/{id}", {"numprocs": 5})["program"]["numprocs"] == 5
    now = pids(api, id)
    assert list(now) == [0, 1, 2]
    assert not set(now.values()) & set(before.values())
    assert api.status(id)["total_count"] == 5
    api.ok(f"programs/{id}/start", {"instance": 4, "wait": True})
    api.ok(f"programs/edit/{id}", {"numprocs": 2})
    assert list(pids(api, id)) == [0, 1]
    assert len(tree(stack, id)) == 2


def test_only_process_becomes_the_first_and_back(api: Api, stack: Stack) -> None:
    id = api.add()
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/edit/{id}", {"numprocs": 3})
    assert list(pids(api, id)) == [0]
    api.ok(f"programs/{id}/start", ALL)
    answer = api.ok(f"programs/edit/{id}", {"numprocs": 1})
    assert "numprocs" not in answer["program"]
    api.until(id, "running")
    assert len(tree(stack, id)) == 1
    api.ok(f"programs/{id}/stop")
    api.ok(f"programs/edit/{id}", {"numprocs": 2})
    assert pids(api, id) == {}
    started(api, id, 1)
    api.ok(f"programs/edit/{id}", {"numprocs": 1})
    assert api.word(id) == "stopped"  # the first did not run


def test_port_range_may_become_numbered_and_back(api: Api, stack: Stack) -> None:
    ports = {"start": 64320, "end": 64322}
    id = running(api, shell("exec sleep 1000"))
    api.ok(f"programs/edit/{id}", {"numprocs": 1, "port_range": ports})
    assert api.status(id) == {"success": True, "instances": [], "running_count": 0, "total_count": 3}
    api.ok(f"programs/{id}/start", ALL)
    assert [each["port"] for each in api.status(id)["instances"]] == [64320, 64321, 64322]
    api.ok(f"programs/edit/{id}", {"numprocs": 2, "port_range": None})
    assert pids(api, id) == {}
    assert tree(stack, id) == []
