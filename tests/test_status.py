"""``GET status`` and ``GET status/{id}`` (docs/contract.md, section 4)."""

import re
from itertools import permutations
from typing import Any

import pytest

from daemon_programs.models import Program
from daemon_programs.programs.observed.statuses import program_status
from daemon_programs.supervisor.client import Supervisor
from daemon_programs.timestamps import uptime
from tests.processes import shell, started
from tests.stack import Api, Stack, eventually


def test_all_statuses_are_in_id_order(api: Api) -> None:
    running, off, idle = (
        api.add(boot=True, name="web"),
        api.add(enabled=False, name="old"),
        api.add(name="idle"),
    )
    answer = api.get("status").json()
    assert answer.keys() == {"success", "statuses"}
    assert answer["success"] is True
    ids = [each["id"] for each in answer["statuses"]]
    assert ids == sorted(ids)
    by_id = {each["id"]: each for each in answer["statuses"]}
    assert ids == [program["id"] for program in api.get("programs").json()["programs"]]
    assert by_id[off] == {
        "id": off, "name": "old", "enabled": False, "status": {"id": off, "status": "stopped"},
    }  # fmt: skip
    assert by_id[idle]["status"] == {"id": idle, "status": "stopped"}
    live = by_id[running]["status"]
    assert live.keys() == {"id", "status", "pid", "uptime"}
    assert live["pid"] == api.pid(running)
    assert re.fullmatch(r"\d+:[0-5]\d:[0-5]\d", live["uptime"])


def test_list_and_single_status_say_the_same(api: Api) -> None:
    api.ok(f"programs/{api.add('true')}/start", {"wait": True})
    api.ok(f"programs/{api.add(delay_seconds=3600)}/start")
    api.add(enabled=False)
    for each in api.get("status").json()["statuses"]:
        single = api.status(each["id"])
        if "status" in single:
            assert single["status"] == each["status"]


def test_process_is_shown_only_while_it_lives(api: Api) -> None:
    id = api.add()
    assert api.status(id)["status"].keys() == {"id", "status"}
    started(api, id)
    assert api.status(id)["status"].keys() == {"id", "status", "pid", "uptime"}
    api.ok(f"programs/{id}/stop")
    assert api.status(id)["status"].keys() == {"id", "status"}


def test_every_status_of_a_program_is_shown(api: Api) -> None:
    """From stopped over starting, running and stopping, and the ends that a run can come to."""
    slow = shell("trap 'sleep 1; exit' TERM; echo ready; while :; do sleep 0.05; done")
    id = api.add(slow, delay_seconds=1)
    assert api.word(id) == "stopped"
    api.ok(f"programs/{id}/start")
    assert api.word(id) == "starting"
    api.until(id, "running")
    eventually(lambda: api.logs(id) == "ready")
    api.session.post(f"{api.base}/programs/{id}/restart")
    assert api.until(id, "stopping")["status"]["pid"]
    api.until(id, "starting")
    api.ok(f"programs/{id}/stop")
    assert api.word(id) == "stopped"


@pytest.mark.parametrize("port", ["8000", "1"])
def test_port_of_a_program_without_ports_is_refused(api: Api, port: str) -> None:
    id = api.add()
    answer = api.get(f"status/{id}", port=port)
    assert answer.status_code == 400
    assert answer.json()["error"] == f"Program with ID {id} has no port range"


@pytest.mark.parametrize("port", ["", "x", "0", "65536", "1.0"])
def test_port_that_does_not_parse_is_refused(api: Api, port: str) -> None:
    answer = api.get(f"status/{api.add()}", port=port)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Query parameter 'port' must be an integer between 1 and 65535"


def test_program_that_supervisord_has_lost_is_unknown_until_it_is_started(api: Api, stack: Stack) -> None:
    id = api.add()
    Supervisor(stack.folder / "supervisor.sock").remove(f"program-{id}")
    assert api.word(id) == "unknown"
    api.ok(f"programs/{id}/stop")
    started(api, id)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0:00:00"),
        (59.99, "0:00:59"),
        (3600, "1:00:00"),
        (8130, "2:15:30"),
        (360_000, "100:00:00"),
        (-1, "0:00:00"),
    ],
)
def test_uptime_has_hours_that_grow_past_24(seconds: float, shown: str) -> None:
    assert uptime(seconds) == shown


# Of a port range: one word for all of its instances

OUTWEIGH = ["running", "starting", "backoff", "stopping"]  # each of them what comes after it


def word_of(*instances: dict[str, Any]) -> str:
    program = Program(pk=7, port_start=8000, port_end=8005)
    state = {"processes": {str(port): process for port, process in enumerate(instances, 8000)}}
    shown = program_status(program, state)
    assert shown.keys() == {"id", "status"}
    assert shown["id"] == 7
    return str(shown["status"])


@pytest.mark.parametrize("several", [set(OUTWEIGH[n:]) for n in range(4)], ids=OUTWEIGH)
def test_port_range_is_what_its_foremost_instance_is(several: set[str]) -> None:
    foremost = next(word for word in OUTWEIGH if word in several)
    for words in permutations([*several, "stopped", "fatal"]):
        assert word_of(*({"state": word} for word in words)) == foremost


def test_running_wins_over_starting_in_a_port_range() -> None:
    running, starting = {"state": "running"}, {"state": "starting"}
    queued = {"state": "stopped", "queued": True}
    for other in (starting, queued):
        assert word_of(running, other) == word_of(other, running) == "running"
        assert word_of(other, {"state": "backoff"}) == word_of({"state": "backoff"}, other) == "starting"


@pytest.mark.parametrize("word", ["stopped", "exited", "fatal"])
def test_port_range_at_rest_is_stopped(word: str) -> None:
    assert word_of({"state": word}, {"state": "stopped"}) == "stopped"
    assert word_of() == "stopped"


def test_port_range_is_fatal_if_all_of_its_instances_are() -> None:
    fatal = {"state": "fatal"}
    assert word_of(*[fatal] * 6) == "fatal"
    assert word_of(*[fatal] * 5) == "stopped"  # the sixth has never run
    for word in ("stopped", "exited"):
        assert word_of(*[fatal] * 5, {"state": word}) == "stopped"
    assert word_of(*[fatal] * 5, {"state": "stopped", "queued": True}) == "starting"
