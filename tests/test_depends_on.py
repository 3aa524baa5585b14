"""``depends_on``: a program starts when what it depends on is as far as it is to be."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import shell, started
from tests.stack import OWN_USER, Api, Stack, eventually


def ready_when(flag: Path) -> dict[str, Any]:
    return {"command": f"test -e {flag}", "interval": 1}


def depends(name: str, condition: str = "ready") -> list[dict[str, str]]:
    return [{"program": name, "condition": condition}]


def waiting_for(api: Api, id: int) -> list[dict[str, str]]:
    return api.status(id)["status"].get("waiting_for", [])  # type: ignore[no-any-return]


def test_start_by_hand_waits_until_the_other_is_ready(api: Api, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    a = api.add(name="a", ready=ready_when(flag))
    b = api.add(name="b", depends_on=depends("a"))
    api.ok(f"programs/{b}/start")
    status = api.status(b)["status"]
    assert status["status"] == "starting"
    assert "pid" not in status
    assert status["waiting_for"] == [{"program": "a", "condition": "ready", "status": "stopped"}]
    api.ok(f"programs/{a}/start")
    api.until(a, "running")
    assert waiting_for(api, b) == [{"program": "a", "condition": "ready", "status": "running"}]
    assert api.word(b) == "starting"
    flag.touch()
    api.until(b, "running")
    assert waiting_for(api, b) == []


def test_wait_waits_for_what_it_depends_on(api: Api, tmp_path: Path) -> None:
    a = api.add(name="a", ready={"log": "up"}, command=shell("sleep 3; echo up; sleep 1000"))
    b = api.add(name="b", depends_on=depends("a"))
    api.ok(f"programs/{a}/start")
    began = time.monotonic()
    api.ok(f"programs/{b}/start", {"wait": True})
    assert time.monotonic() - began > 2
    assert api.word(b) == "running"


def test_stop_ends_the_waiting(api: Api) -> None:
    api.add(name="a")
    b = api.add(name="b", depends_on=depends("a"))
    api.ok(f"programs/{b}/start")
    assert api.word(b) == "starting"
    api.ok(f"programs/{b}/stop")
    assert api.status(b)["status"] == {"id": b, "status": "stopped"}


def test_completed_is_an_end_with_exit_code_0(api: Api, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    a = api.add(shell(f"sleep 0.5; test -e {flag}"), name="a", autorestart="false")
    b = api.add(name="b", depends_on=depends("a", "completed"))
    api.ok(f"programs/{b}/start")
    api.ok(f"programs/{a}/start")
    api.until(a, "exited")
    assert waiting_for(api, b) == [{"program": "a", "condition": "completed", "status": "exited"}]
    flag.touch()
    api.ok(f"programs/{a}/start")
    api.until(b, "running")


def test_exit_codes_say_what_completed_is(api: Api) -> None:
    a = api.add(shell("exit 3"), name="a", autorestart="false")
    b = api.add(name="b", depends_on=depends("a", "completed"))
    api.ok(f"programs/{a}/start")
    api.until(a, "exited")
    api.ok(f"programs/{b}/start")
    assert waiting_for(api, b) == [{"program": "a", "condition": "completed", "status": "exited"}]
    api.ok(f"programs/edit/{a}", {"exit_codes": [0, 3]})
    api.until(b, "running")


def test_started_is_enough_by_default(api: Api, tmp_path: Path) -> None:
    a = api.add(name="a", ready=ready_when(tmp_path / "never"))
    b = api.add(name="b", depends_on=[{"program": "a"}])
    assert api.get(f"programs/{b}").json()["program"]["depends_on"] == depends("a", "started")
    api.ok(f"programs/{b}/start")
    assert api.word(b) == "starting"
    api.ok(f"programs/{a}/start")
    api.until(b, "running")


@pytest.mark.parametrize("condition", ["started", "ready"])
def test_without_a_probe_running_is_ready(api: Api, condition: str) -> None:
    a = api.add(name="a")
    b = api.add(name="b", depends_on=depends("a", condition))
    api.ok(f"programs/{b}/start")
    api.ok(f"programs/{a}/start")
    api.until(b, "running")


def test_delay_follows_the_waiting(api: Api) -> None:
    a = api.add(name="a")
    b = api.add(name="b", depends_on=depends("a"), delay_seconds=2)
    api.ok(f"programs/{b}/start")
    time.sleep(1)
    api.ok(f"programs/{a}/start", {"wait": True})
    running_at = time.monotonic()
    eventually(lambda: api.pid(b))
    assert time.monotonic() - running_at > 1.5


def test_what_can_t_come_is_told(api: Api) -> None:
    a = api.add("/no/such/command", name="a")
    b = api.add(name="b", depends_on=depends("a"))
    api.post(f"programs/{a}/start")
    api.ok(f"programs/{b}/start")

    def status() -> str:
        return waiting_for(api, b)[0]["status"]

    api.ok(f"programs/edit/{a}", {"command": "sh -c 'exit 3'"})
    api.ok(f"programs/{a}/start")
    eventually(lambda: api.word(a) == "fatal", 30)
    assert status() == "fatal"
    api.ok(f"programs/{a}/disable")
    assert status() == "disabled"
    api.ok(f"programs/remove/{a}")
    assert status() == "removed"
    api.ok(f"programs/edit/{b}", {"description": "can be edited all the same"})
    again = api.add(name="a")
    assert status() == "stopped"
    api.ok(f"programs/{again}/start")
    api.until(b, "running")


def test_edit_that_drops_the_dependency_lets_it_start(api: Api) -> None:
    api.add(name="a")
    b = api.add(name="b", depends_on=depends("a"))
    api.ok(f"programs/{b}/start")
    assert waiting_for(api, b)
    assert "depends_on" not in api.ok(f"programs/edit/{b}", {"depends_on": []})["program"]
    api.until(b, "running")


def test_dependencies_follow_a_new_name(api: Api) -> None:
    a = api.add(name="a")
    b = api.add(name="b", depends_on=depends("a"))
    pid = started(api, api.add(name="c"))
    api.ok(f"programs/{b}/start")
    api.ok(f"programs/edit/{a}", {"name": "database"})
    assert api.get(f"programs/{b}").json()["program"]["depends_on"] == depends("database")
    assert waiting_for(api, b)[0]["program"] == "database"
    assert pid
    api.ok(f"programs/{a}/start")
    api.until(b, "running")


def test_restart_of_the_other_leaves_what_runs_alone(api: Api) -> None:
    a = api.add(name="a")
    b = api.add(name="b", depends_on=depends("a"))
    api.ok(f"programs/{a}/start")
    api.ok(f"programs/{b}/start", {"wait": True})
    pid = api.pid(b)
    api.ok(f"programs/{a}/restart", {"wait": True})
    assert api.pid(b) == pid


def test_each_instance_that_is_to_run_must_be_ready(api: Api, tmp_path: Path) -> None:
    ports = {"start": 64010, "end": 64012}
    probe = {"command": f"test -e {tmp_path}/{{port}}", "interval": 1}
    a = api.add(shell("sleep 1000"), name="a", port_range=ports, ready=probe)
    b = api.add(name="b", depends_on=depends("a"))
    for port in (64010, 64011):
        api.ok(f"programs/{a}/start", {"port": port})
    api.ok(f"programs/{b}/start")
    (tmp_path / "64010").touch()
    eventually(lambda: api.status(a, port=64010)["instance"]["ready"])
    assert api.word(b) == "starting"
    (tmp_path / "64011").touch()
    api.until(b, "running")


def test_circle_is_refused_and_named(api: Api) -> None:
    a = api.add(name="a")
    api.add(name="b", depends_on=depends("a"))
    api.add(name="c", depends_on=depends("b"))
    sentence = "Field 'depends_on' would make programs wait for each other: a → c → b → a"
    assert api.refused(f"programs/edit/{a}", {"depends_on": depends("c")}) == sentence
    sentence = "Field 'depends_on' would make programs wait for each other: d → d"
    body = {"name": "d", "command": "true", "user": OWN_USER, "depends_on": depends("d")}
    assert api.refused("programs/add", body) == sentence


def test_unknown_program_is_refused(api: Api) -> None:
    body = {"name": "d", "command": "true", "user": OWN_USER, "depends_on": depends("nobody")}
    sentence = "Field 'depends_on' names a program that does not exist: 'nobody'"
    assert api.refused("programs/add", body) == sentence


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({}, "must be a list of objects with program and condition"),
        ("a", "must be a list of objects with program and condition"),
        (["a"], "must be a list of objects with program and condition"),
        ([{}], "must name a program in each entry"),
        ([{"program": 1}], "must name a program in each entry"),
        ([{"program": " "}], "must name a program in each entry"),
        ([{"program": "a", "when": 1}], "has an unknown key: 'when'"),
        ([{"program": "a"}, {"program": "a"}], "names the program 'a' twice"),
        ([{"program": str(n)} for n in range(33)], "must not have more than 32 entries"),
    ],
)
def test_shape_of_dependencies(api: Api, value: Any, sentence: str) -> None:
    body = {"name": "d", "command": "true", "user": OWN_USER, "depends_on": value}
    assert api.refused("programs/add", body) == f"Field 'depends_on' {sentence}"


@pytest.mark.parametrize("condition", ["Ready", 1, None, []])
def test_condition_is_one_of_three(api: Api, condition: Any) -> None:
    body = {"name": "d", "command": "true", "user": OWN_USER}
    body["depends_on"] = [{"program": "a", "condition": condition}]
    expected = "Field 'depends_on': 'condition' must be one of: started, ready, completed"
    assert api.refused("programs/add", body) == expected


READY_LATE = {"ready": {"log": "^up$"}, "command": shell("sleep 3; date +%s.%N; echo up; exec sleep 1000")}
TELLS_WHEN = shell("date +%s.%N; exec sleep 1000")


def test_order_holds_at_boot_and_after_a_reset(own_stack: Stack) -> None:
    api = own_stack.start().api
    clear(api)
    # The one that waits comes first, by its id and by its priority.
    a = api.add(id=2, name="a", boot=True, priority=900, **READY_LATE)
    b = api.add(TELLS_WHEN, id=1, name="b", boot=True, priority=1, depends_on=depends("a"))
    check_order(api, a, b)

    assert own_stack.stop() == 0
    api = own_stack.start().api
    check_order(api, a, b)

    export = own_stack.folder / "programs.default.json"
    documents = own_stack.manage("export_programs").stdout
    assert json.loads(documents)["programs"][0]["depends_on"] == depends("a")
    export.write_text(documents)
    api.ok("programs/reset")
    check_order(api, a, b)
    assert api.get("programs/1").json()["program"]["depends_on"] == depends("a")
    assert api.get("programs/2").json()["program"]["ready"] == READY_LATE["ready"]


def clear(api: Api) -> None:
    for program in api.get("programs").json()["programs"]:
        api.ok(f"programs/remove/{program['id']}")


def check_order(api: Api, a: int, b: int) -> None:
    """The present run of B must have begun after that of A was ready."""
    api.until(b, "running", timeout=30)
    assert api.status(a)["status"]["ready"] is True
    began = float(api.logs(b).splitlines()[-1])
    ready_at = [line for line in api.logs(a).splitlines() if line != "up"][-1]
    assert began >= float(ready_at)


def test_dependents_end_first(own_stack: Stack, tmp_path: Path) -> None:
    api = own_stack.start().api
    clear(api)
    script = "trap 'date +%s.%N > \"$1\"; exit 0' TERM; while :; do sleep 0.05; done"
    slow = "trap 'sleep 1; date +%s.%N > \"$1\"; exit 0' TERM; while :; do sleep 0.05; done"
    a = api.add(shell(script, str(tmp_path / "a")), name="a")
    b = api.add(shell(slow, str(tmp_path / "b")), name="b", depends_on=depends("a"))
    c = api.add(shell(slow, str(tmp_path / "c")), name="c", depends_on=depends("b"))
    for id in (a, b, c):
        api.ok(f"programs/{id}/start", {"wait": True})
    assert own_stack.stop() == 0
    times = [float((tmp_path / name).read_text()) for name in ("c", "b", "a")]
    assert times == sorted(times)
    assert times[1] - times[0] > 0.9


def test_import_takes_programs_in_any_order_and_refuses_a_circle(
    stack: Stack, api: Api, tmp_path: Path
) -> None:
    file = tmp_path / "programs.json"
    document = {"command": "true", "user": OWN_USER}
    one = {**document, "id": 9001, "name": "one", "depends_on": depends("two")}
    two = {**document, "id": 9002, "name": "two"}
    file.write_text(json.dumps([one, two]))
    done = stack.manage("import_programs", str(file), "--keep-others")
    assert done.returncode == 0, done.stderr
    assert api.get("programs/9001").json()["program"]["depends_on"] == depends("two")
    file.write_text(json.dumps([one, {**two, "depends_on": depends("one")}]))
    done = stack.manage("import_programs", str(file), "--keep-others")
    assert done.returncode != 0
    assert "would make programs wait for each other: one → two → one" in done.stderr
    swapped = [{**one, "name": "two", "depends_on": depends("one")}, {**two, "name": "one"}]
    file.write_text(json.dumps(swapped))
    done = stack.manage("import_programs", str(file), "--keep-others")
    assert done.returncode == 0, done.stderr
    api.ok("programs/9001/start")
    assert waiting_for(api, 9001) == [{"program": "one", "condition": "ready", "status": "stopped"}]
