"""``POST programs/add``."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.processes import started
from tests.stack import OWN_USER, Api, Stack


def test_answer_is_the_whole_program_with_its_defaults(api: Api, stack: Stack) -> None:
    answer = api.ok("programs/add", {"name": "plain", "command": "sleep 1000", "user": OWN_USER})
    logs = stack.folder / "logs" / "plain"
    assert answer == {
        "success": True,
        "id": answer["id"],
        "program": {
            "id": answer["id"],
            "name": "plain",
            "description": "",
            "enabled": True,
            "command": "sleep 1000",
            "boot": False,
            "delay_seconds": 0,
            "autorestart": "unexpected",
            "user": OWN_USER,
            "environment": {},
            "priority": 999,
            "stdout_logfile": str(logs / "stdout.log"),
            "stderr_logfile": str(logs / "stderr.log"),
            "logs_enabled": True,
            "log_max_bytes": 5242880,
            "log_backups": 2,
            "hoody_kit": False,
            "lazy_load": False,
        },
    }


def test_every_field_comes_back_as_it_was_sent(api: Api, tmp_path: Path) -> None:
    sent = {
        "id": 4711,
        "name": "all fields",
        "description": "line one\nline two – “quoted”",
        "enabled": True,
        "command": "sleep  1000",
        "boot": False,
        "delay_seconds": 3600,
        "stop_grace_seconds": 300,
        "autorestart": "false",
        "user": OWN_USER,
        "environment": {"EMPTY": "", "_x1": "two\nlines"},
        "directory": str(tmp_path),
        "priority": 1,
        "stdout_logfile": str(tmp_path / "out.log"),
        "stderr_logfile": str(tmp_path / "err.log"),
        "logs_enabled": False,
        "log_max_bytes": 0,
        "log_backups": 100,
        "port_range": {"start": 64000, "end": 64001},
        "port_param": "-p",
        "lazy_load": True,
        "display": ":1",
    }
    answer = api.ok("programs/add", sent)
    assert answer["id"] == 4711
    assert answer["program"] == {**sent, "hoody_kit": False}
    assert api.get("programs/4711").json() == {"success": True, "program": answer["program"]}


def test_unset_optional_values_are_left_out(api: Api) -> None:
    program = api.get(f"programs/{api.add()}").json()["program"]
    optional = {"port_range", "port_param", "display", "directory", "webhooks"}
    optional |= {"terminal_id", "terminal_shell", "terminal_interactive", "ready_port", "status", "stats"}
    assert optional & set(program) == set()


def test_port_range_has_a_default_parameter(api: Api) -> None:
    program = api.get(f"programs/{api.add(port_range={'start': 64000, 'end': 64000})}").json()["program"]
    assert program["port_range"] == {"start": 64000, "end": 64000}
    assert program["port_param"] == "--port"


def test_enabled_program_is_registered_but_not_started(api: Api, stack: Stack) -> None:
    id = api.add()
    assert (stack.folder / "conf.d" / f"program-{id}.json").exists()
    assert api.status(id) == {"success": True, "status": {"id": id, "status": "stopped"}}


def test_boot_program_is_started_at_once(api: Api) -> None:
    id = api.add(boot=True)
    assert api.word(id) in ("starting", "running")
    assert api.pid(id)


def test_boot_port_range_is_started_whole(api: Api) -> None:
    id = api.add("sleep 1000 {port}", port_range={"start": 64000, "end": 64003}, boot=True)
    assert [each["port"] for each in api.status(id)["instances"]] == [64000, 64001, 64002, 64003]


def test_disabled_program_is_not_registered_and_not_started(api: Api, stack: Stack) -> None:
    id = api.add(enabled=False, boot=True)
    assert not (stack.folder / "conf.d" / f"program-{id}.json").exists()
    assert api.word(id) == "stopped"
    assert api.pid(id) is None


def test_taken_id_is_refused(api: Api) -> None:
    id = api.add()
    sentence = api.refused("programs/add", {"id": id, "name": "x", "command": "true", "user": OWN_USER})
    assert sentence == f"Program ID {id} is already in use"


def test_ids_of_removed_programs_are_not_given_away(api: Api) -> None:
    first = api.add()
    api.ok(f"programs/remove/{first}")
    assert api.add() > first
    assert api.add(id=first) == first  # but may be asked for


def test_taken_name_is_refused_and_named(api: Api) -> None:
    api.add(name="the only one")
    sentence = api.refused("programs/add", {"name": "the only one", "command": "true", "user": OWN_USER})
    assert sentence == "Name 'the only one' is already in use by another program"


def test_name_of_a_removed_program_is_free(api: Api) -> None:
    api.ok(f"programs/remove/{api.add(name='phoenix')}")
    assert api.add(name="phoenix")


def test_names_that_differ_in_letter_case_are_two(api: Api) -> None:
    assert api.add(name="Case") != api.add(name="case")


def test_adding_disturbs_no_other_program(api: Api) -> None:
    other = api.add()
    pid = started(api, other)
    for _ in range(5):
        api.add(boot=True)
    assert api.pid(other) == pid


def test_refused_program_leaves_nothing(api: Api, stack: Stack) -> None:
    before = api.get("programs").text, sorted((stack.folder / "conf.d").iterdir())
    api.refused("programs/add", {"name": "half", "command": "true", "user": OWN_USER, "priority": 0})
    assert (api.get("programs").text, sorted((stack.folder / "conf.d").iterdir())) == before


def test_what_get_shows_can_be_added_again(api: Api) -> None:
    shown = api.get(f"programs/{api.add(environment={'A': '1'})}").json()["program"]
    api.ok(f"programs/remove/{shown['id']}")
    again = api.ok("programs/add", {**shown, "hoody_kit": True, "status": {}, "stats": {}})
    assert again["program"] == json.loads(json.dumps(shown))


def test_of_concurrent_adds_with_one_name_one_succeeds(api: Api, stack: Stack) -> None:
    body = {"name": "wanted by many", "command": "true", "user": OWN_USER}
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: stack.api.post("programs/add", body).status_code, range(8)))
    assert sorted(codes) == [200, *[400] * 7]


def test_of_concurrent_adds_with_overlapping_ports_one_succeeds(api: Api, stack: Stack) -> None:
    def add(number: int) -> int:
        ports = {"start": 64000 + number, "end": 64020 + number}
        body = {"name": f"ports {number}", "command": "true", "user": OWN_USER, "port_range": ports}
        return stack.api.post("programs/add", body).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(add, range(8)))
    assert sorted(codes) == [200, *[400] * 7]


def test_concurrent_adds_all_succeed_with_ids_of_their_own(api: Api, stack: Stack) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: stack.api.add(name=f"one of many {number}"), range(40)))
    assert len(set(ids)) == 40
    assert set(ids) <= {program["id"] for program in api.get("programs").json()["programs"]}
