"""``POST programs/edit/{id}``."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.processes import LONG_RUNNING, environment, shell, started, tree
from tests.stack import OWN_USER, Api, Stack, eventually

PORTS = {"start": 64000, "end": 64004}


def shown(api: Api, id: int) -> dict[str, Any]:
    return api.get(f"programs/{id}").json()["program"]  # type: ignore[no-any-return]


def test_answer_is_the_whole_program_as_it_is_now(api: Api) -> None:
    id = api.add(description="before")
    before = shown(api, id)
    answer = api.ok(f"programs/edit/{id}", {"description": "after"})
    assert answer == {"success": True, "program": {**before, "description": "after"}}
    assert shown(api, id) == answer["program"]


def test_left_out_fields_keep_their_values(api: Api, tmp_path: Path) -> None:
    id = api.add(
        boot=False, delay_seconds=5, autorestart="true", environment={"A": "1"}, directory=str(tmp_path),
        priority=5, stdout_logfile=str(tmp_path / "o"), stderr_logfile=str(tmp_path / "e"), log_backups=5,
        logs_enabled=False, log_max_bytes=5, lazy_load=True, display=":5", port_range=PORTS, port_param="-p",
    )  # fmt: skip
    before = shown(api, id)
    assert api.ok(f"programs/edit/{id}", {})["program"] == before
    assert api.ok(f"programs/edit/{id}", {"name": "other"})["program"] == {**before, "name": "other"}


def test_environment_is_replaced_whole(api: Api) -> None:
    id = api.add(environment={"A": "1", "B": "2"})
    assert api.ok(f"programs/edit/{id}", {"environment": {"B": "3"}})["program"]["environment"] == {"B": "3"}
    assert api.ok(f"programs/edit/{id}", {"environment": {}})["program"]["environment"] == {}


def test_port_range_is_replaced_whole(api: Api) -> None:
    id = api.add(port_range=PORTS)
    new = {"start": 64003, "end": 64010}
    assert api.ok(f"programs/edit/{id}", {"port_range": new})["program"]["port_range"] == new
    assert (
        api.refused(f"programs/edit/{id}", {"port_range": {"start": 1}})
        == "Field 'port_range' is missing 'end'"
    )


def test_id_is_ignored(api: Api) -> None:
    id, other = api.add(), api.add()
    for sent in (other, 777_777, "x", None):
        assert api.ok(f"programs/edit/{id}", {"id": sent, "description": "mine"})["program"]["id"] == id
    assert shown(api, other)["description"] == ""


def test_name_may_be_kept_and_not_be_taken(api: Api) -> None:
    id, other = api.add(name="mine"), api.add(name="yours")
    api.ok(f"programs/edit/{id}", {"name": "mine"})
    sentence = api.refused(f"programs/edit/{other}", {"name": "mine"})
    assert sentence == "Name 'mine' is already in use by another program"


def test_rules_between_fields_hold_over_edits(api: Api) -> None:
    boots, lazy, plain = api.add(boot=True), api.add(lazy_load=True), api.add()
    sentence = "Field 'lazy_load' can't be combined with boot: true"
    assert api.refused(f"programs/edit/{boots}", {"lazy_load": True}) == sentence
    assert api.refused(f"programs/edit/{lazy}", {"boot": True}) == sentence
    assert api.ok(f"programs/edit/{lazy}", {"boot": True, "lazy_load": False})["program"]["boot"] is True
    sentence = "port_param requires port_range to be set"
    assert api.refused(f"programs/edit/{plain}", {"port_param": "-p"}) == sentence


def test_running_program_runs_the_new_configuration_when_edit_answers(api: Api, stack: Stack) -> None:
    id = api.add(LONG_RUNNING, environment={"VERSION": "1"})
    old = started(api, id)
    api.ok(f"programs/edit/{id}", {"environment": {"VERSION": "2"}})
    new = api.pid(id)
    assert new not in (None, old)
    eventually(lambda: environment(new).get(b"VERSION") == b"2")  # which it has from its exec on
    assert [process.pid for process in tree(stack, id)] == [new]


CHANGES: list[dict[str, Any]] = [
    {"command": "…and one argument more"},
    {"environment": {"A": "1"}},
    {"directory": "/tmp"},
    {"display": ":1"},
    {"logs_enabled": False},
    {"stdout_logfile": "/dev/null"},
    {"log_max_bytes": 5},
    {"log_backups": 5},
    {"name": "renamed"},
]


@pytest.mark.parametrize("change", CHANGES, ids=[next(iter(change)) for change in CHANGES])
def test_change_of_what_runs_restarts_it_once(api: Api, tmp_path: Path, change: dict[str, Any]) -> None:
    runs = tmp_path / "runs"
    command = shell("echo ran >> $1; exec sleep 1000", str(runs))
    id = api.add(command)
    pid = started(api, id)
    eventually(lambda: runs.exists() and runs.read_text() == "ran\n")
    api.ok(f"programs/edit/{id}", {"command": f"{command} more"} if "command" in change else change)
    assert api.pid(id) not in (None, pid)
    api.until(id, "running")
    assert runs.read_text() == "ran\nran\n"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"description": "new"},
        {"boot": True},
        {"lazy_load": True},
        {"priority": 5},
        {"autorestart": "true"},
        {"delay_seconds": 1},
        {"stop_grace_seconds": 0},
        {"environment": {"A": "1"}, "command": "sleep 1000", "user": OWN_USER, "enabled": True},
        {"hoody_kit": True, "id": 5},
    ],
)
def test_change_that_what_runs_does_not_see_leaves_it_alone(api: Api, change: dict[str, Any]) -> None:
    id = api.add(environment={"A": "1"})
    pid = started(api, id)
    api.ok(f"programs/edit/{id}", change)
    assert api.pid(id) == pid


def test_change_without_a_restart_decides_about_the_next_start(api: Api) -> None:
    id = api.add(shell("sleep 0.5; exit 0"))
    started(api, id)
    api.ok(f"programs/edit/{id}", {"autorestart": "true", "delay_seconds": 3600})
    assert (
        eventually(lambda: (answer := api.status(id)).get("last_run") and answer)["last_run"]["exit_code"]
        == 0
    )
    assert api.until(id, "starting")["status"] == {"id": id, "status": "starting"}


def test_stopped_program_stays_stopped(api: Api) -> None:
    id = api.add()
    api.ok(f"programs/edit/{id}", {"command": "sleep 5", "boot": True})
    assert api.word(id) == "stopped"
    assert api.pid(id) is None


def test_finished_program_is_not_run_again(api: Api) -> None:
    id = api.add("true")
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/edit/{id}", {"command": "sleep 1000"})
    assert api.pid(id) is None


def test_crash_loop_is_mended_by_an_edit(api: Api) -> None:
    id = api.add(shell("exit 1"))
    api.ok(f"programs/{id}/start")
    api.until(id, "backoff")
    api.ok(f"programs/edit/{id}", {"command": "sleep 1000"})
    assert api.until(id, "running")["status"]["pid"]


def test_edit_disturbs_no_other_program(api: Api) -> None:
    id, other = api.add(), api.add()
    started(api, id)
    pid = started(api, other)
    api.ok(f"programs/edit/{id}", {"environment": {"A": "1"}})
    assert api.pid(other) == pid


def test_refused_edit_leaves_program_and_process_alone(api: Api, stack: Stack) -> None:
    id = api.add()
    pid = started(api, id)
    before = shown(api, id)
    file = stack.folder / "conf.d" / f"program-{id}.json"
    text = file.read_text()
    api.refused(f"programs/edit/{id}", {"environment": {"A": "1"}, "priority": 0})
    assert (shown(api, id), api.pid(id), file.read_text()) == (before, pid, text)


def test_enabled_can_be_edited(api: Api, stack: Stack) -> None:
    id = api.add()
    started(api, id)
    api.ok(f"programs/edit/{id}", {"enabled": False})
    assert tree(stack, id) == []
    assert api.word(id) == "stopped"
    assert api.refused(f"programs/{id}/start") == f"Program with ID {id} is disabled"
    api.ok(f"programs/edit/{id}", {"enabled": True})
    assert api.word(id) == "stopped"
    started(api, id)


def test_running_port_range_keeps_running_the_instances_that_ran(api: Api) -> None:
    id = api.add("sleep 1000 {port}", port_range=PORTS)
    old = {port: started(api, id, port) for port in (64001, 64003)}
    api.ok(f"programs/edit/{id}", {"environment": {"A": "1"}})
    now = {each["port"]: each["pid"] for each in api.status(id)["instances"]}
    assert now.keys() == old.keys()
    assert not set(now.values()) & set(old.values())


def test_narrowed_port_range_ends_the_instances_outside(api: Api, stack: Stack) -> None:
    id = api.add("sleep 1000 {port}", port_range=PORTS, boot=True)
    api.ok(f"programs/edit/{id}", {"port_range": {"start": 64003, "end": 64006}})
    assert {each["port"] for each in api.status(id)["instances"]} == {64003, 64004}
    assert len(tree(stack, id)) == 2


def test_port_range_may_become_an_ordinary_program_and_back(api: Api, stack: Stack) -> None:
    id = api.add("sleep 1000", port_range=PORTS)
    api.ok(f"programs/edit/{id}", {"port_range": None})
    assert api.word(id) == "stopped"
    started(api, id)
    api.ok(f"programs/edit/{id}", {"port_range": PORTS, "command": "sleep 1000 {port}"})
    assert api.status(id)["total_count"] == 5
    assert len(tree(stack, id)) == len(api.status(id)["instances"])


def test_concurrent_edits_of_one_program_leave_one_process_and_one_truth(api: Api, stack: Stack) -> None:
    id = api.add(LONG_RUNNING)
    started(api, id)

    def edit(number: int) -> int:
        return stack.api.post(f"programs/edit/{id}", {"environment": {"N": str(number)}}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(edit, range(24))) == {200}
    processes = eventually(lambda: len(found := tree(stack, id)) == 1 and found)
    kept = shown(api, id)["environment"]["N"].encode()
    eventually(lambda: environment(processes[0].pid).get(b"N") == kept)


def test_edits_during_a_restart_are_not_lost(api: Api) -> None:
    """The last of several changes wins, also while an earlier one is still being carried out."""
    slow = "trap 'sleep 0.5; exit' TERM; echo ready; while :; do sleep 0.05; done"
    id = api.add(shell(slow))
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(api.ok, f"programs/edit/{id}", {"environment": {"N": "1"}})
        api.until(id, "stopping")
        api.ok(f"programs/edit/{id}", {"environment": {"N": "2"}})
        first.result(20)
    eventually(lambda: environment(api.pid(id) or 0).get(b"N") == b"2")
