"""``POST programs/apply``: what a list of programs changes, as a whole or not at all."""

import os
import signal
import threading
import time
from typing import Any

import pytest
import requests

from daemon_programs.maintenance.sets.awaiting import AwaitedPrograms
from daemon_programs.maintenance.sets.changes import Change
from daemon_programs.maintenance.sets.planning import Action, Plan, Step, Wish
from daemon_programs.models import Program
from tests import database
from tests.processes import LONG_RUNNING, shell
from tests.program_sets import SET, done
from tests.stack import OWN_USER, Api, Stack, eventually, free_port, temporary_stack

ROUTE = "programs/apply"
FAILING = "sh -c 'exit 3'"


def program(name: str, command: str = LONG_RUNNING, **fields: Any) -> dict[str, Any]:
    return {"name": name, "command": command, "user": OWN_USER, **fields}


def applied(api: Api, *programs: dict[str, Any], **options: Any) -> dict[str, Any]:
    return api.ok(ROUTE, {"programs": programs, **options})


def planned(api: Api, *programs: dict[str, Any], **options: Any) -> dict[str, Any]:
    return applied(api, *programs, dry_run=True, **options)


def actions(plan: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["action"] for step in plan["plan"]}


def ids(plan: dict[str, Any]) -> dict[str, int]:
    return {step["name"]: step["id"] for step in plan["plan"]}


def everything(api: Api) -> list[dict[str, Any]]:
    return api.get("programs").json()["programs"]  # type: ignore[no-any-return]


def changes_of(plan: dict[str, Any], name: str) -> dict[str, tuple[Any, Any]]:
    (step,) = [step for step in plan["plan"] if step["name"] == name]
    return {change["field"]: (change["from"], change["to"]) for change in step["changes"]}


def unsuccessful(api: Api, code: int, *programs: dict[str, Any], **options: Any) -> dict[str, Any]:
    response = api.post(ROUTE, {"programs": programs, **options})
    assert response.status_code == code, response.text
    answer: dict[str, Any] = response.json()
    assert answer["success"] is False
    return answer


# The plan


def test_a_plan_changes_nothing(api: Api) -> None:
    before = everything(api)
    plan = planned(api, program("a", labels={"team": "x"}), program("b"), set="dry")
    assert everything(api) == before
    assert plan["dry_run"] is True
    assert plan["set"] == "dry"
    assert plan["plan"][0] == {
        "name": "a",
        "id": None,
        "action": "create",
        "changes": [
            {"field": "command", "from": None, "to": LONG_RUNNING},
            {"field": "user", "from": None, "to": OWN_USER},
            {"field": "labels", "from": None, "to": {"team": "x"}},
            {"field": "set", "from": None, "to": "dry"},
        ],
        "restarts": False,
        "stops": False,
    }
    assert plan["counts"] == {
        "create": 2, "change": 0, "unchanged": 0, "remove": 0, "restarts": 0, "stops": 0
    }  # fmt: skip


def test_programs_become_what_the_list_says(api: Api) -> None:
    first = applied(api, program("a", boot=True, description="old", priority=5), program("b"), set="shop")
    assert actions(first) == {"a": "create", "b": "create"}
    known = ids(first)
    api.until(known["a"], "running")
    pid = api.pid(known["a"])
    again = applied(api, program("a", boot=True, description="old", priority=5), program("b"), set="shop")
    assert actions(again) == {"a": "unchanged", "b": "unchanged"}
    assert (again["revision"], again["dry_run"]) == (first["revision"], False)
    # What is left out has its default.
    second = applied(api, program("c", boot=True), program("a", boot=True), set="shop", prune=True)
    assert actions(second) == {"c": "create", "a": "change", "b": "remove"}
    assert changes_of(second, "a") == {"description": ("old", ""), "priority": (5, 999)}
    assert ids(second)["a"] == known["a"]
    assert api.get(f"programs/{known['a']}").json()["program"]["set"] == "shop"
    assert api.get(f"programs/{known['b']}").status_code == 404
    api.until(ids(second)["c"], "running")
    assert api.pid(known["a"]) == pid  # nothing that it depends on has changed


def test_plan_says_what_restarts_and_what_stops(api: Api) -> None:
    names = ("replaced", "touched", "disabled", "gone", "still")
    made = applied(api, *(program(name, boot=name != "still") for name in names), set="run", wait=True)
    before = {name: api.pid(id) for name, id in ids(made).items()}
    wanted = [
        program("replaced", "sleep 2000", boot=True),
        program("touched", boot=True, stop_grace_seconds=3, labels={"a": "b"}),
        program("disabled", boot=True, enabled=False),
        program("still", "sleep 2000"),
    ]
    plan = planned(api, *wanted, set="run", prune=True)
    told = {step["name"]: (step["restarts"], step["stops"]) for step in plan["plan"]}
    assert told == {
        "replaced": (True, False),
        "touched": (False, False),
        "disabled": (False, True),
        "still": (False, False),
        "gone": (False, True),
    }
    assert (plan["counts"]["restarts"], plan["counts"]["stops"]) == (1, 2)
    assert applied(api, *wanted, set="run", prune=True, wait=True)["counts"] == plan["counts"]
    after = {name: api.pid(id) for name, id in ids(made).items() if name != "gone"}
    assert after["touched"] == before["touched"]
    assert after["replaced"] not in (None, before["replaced"])
    assert after["disabled"] is after["still"] is None


def test_every_field_can_be_applied_and_is_unchanged_then(api: Api) -> None:
    programs = [{"user": OWN_USER, **each} for each in SET]
    assert planned(api, *programs)["counts"]["create"] == len(SET)
    applied(api, *programs)
    shown = [each for each in everything(api) if each["name"] in {one["name"] for one in SET}]
    for wanted in (programs, shown):
        assert planned(api, *wanted)["counts"]["unchanged"] == len(SET)


def test_defaults_count_where_a_program_says_nothing(api: Api) -> None:
    defaults = {"user": OWN_USER, "priority": 7, "environment": {"A": "1", "B": "1"}, "labels": {"team": "x"}}
    programs = [
        {"name": "a", "command": "true"},
        {"name": "b", "command": "true", "priority": 8, "environment": {"B": "2"}, "labels": None},
    ]
    applied(api, *programs, defaults=defaults)
    a, b = (each for each in everything(api) if each["name"] in "ab")
    assert (a["priority"], a["environment"], a["labels"]) == (7, {"A": "1", "B": "1"}, {"team": "x"})
    assert (b["priority"], b["environment"], "labels" in b) == (8, {"A": "1", "B": "2"}, False)


def test_programs_may_swap_what_is_unique(api: Api) -> None:
    one, two = {"start": 41000, "end": 41004}, {"start": 41005, "end": 41009}
    applied(api, program("a", port_range=one), program("b", port_range=two), program("c", terminal_id=771))
    plan = applied(
        api, program("a", port_range=two), program("b", terminal_id=771), program("c", port_range=one)
    )
    assert plan["counts"]["change"] == 3
    assert changes_of(plan, "c")["port_range"] == (None, one)


def test_order_of_the_list_does_not_matter_to_dependencies(api: Api) -> None:
    first = program("first", depends_on=[{"program": "second", "condition": "started"}])
    assert applied(api, first, program("second"))["counts"]["create"] == 2


# What is refused


@pytest.mark.parametrize(
    ("programs", "key", "sentence"),
    [
        ([program("a"), {"name": "b"}], "programs.1.command",
         "Program 'b': Field 'command' is required and must be a non-empty string"),
        ([{"command": "true"}], "programs.0.name",
         "Program number 1: Field 'name' is required and must be a non-empty string"),
        ([program("a"), program("a")], "programs.1.name", "Program 'a': The name is in the list twice"),
        ([program("a", id=51), program("b", id=51)], "programs.1.id",
         "Program 'b': The ID is in the list twice"),
        ([program("a", comand="x")], "programs.0.comand", "Program 'a': Unknown field 'comand'"),
        ([program("a", nice="1")], "programs.0.nice", "Program 'a': Field 'nice' must be an integer"),
        ([program("a", user="no such")], "programs.0.user",
         "Program 'a': User \"no such\" does not exist on the system"),
        ([program("a", lazy_load=True, boot=True)], "programs.0.lazy_load",
         "Program 'a': Field 'lazy_load' can't be combined with boot: true"),
        ([program("a", depends_on=[{"program": "none", "condition": "started"}])], "programs.0.depends_on",
         "Program 'a': Field 'depends_on' names a program that does not exist: 'none'"),
        ([program(one, depends_on=[{"program": other, "condition": "started"}])
          for one, other in ("ab", "ba")], "programs.0.depends_on", None),
        ([program("a", port_range={"start": 1, "end": 5}), program("b", port_range={"start": 5, "end": 6})],
         "programs.1.port_start", "Program 'b': Port range overlaps with program 'a' [1-5]"),
        ([program("a", set="other")], "programs.0.set", "Program 'a': Field 'set' is 'other', not 'shop'"),
        (["a"], "programs", "Field 'programs' must be a list of objects"),
    ],
)  # fmt: skip
def test_an_invalid_program_is_named_and_nothing_is_changed(
    api: Api, programs: list[Any], key: str, sentence: str | None
) -> None:
    before = everything(api)
    for dry_run in (True, False):
        answer = unsuccessful(api, 400, *programs, set="shop", dry_run=dry_run)
        assert key in answer["errors"]
        assert sentence is None or answer["error"] == sentence
        assert answer["error"].startswith("Program") or key == "programs"
    assert everything(api) == before


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "Field 'programs' is required"),
        ({"programs": {}}, "Field 'programs' must be a list of objects"),
        ({"programs": [{}] * 1001}, "Field 'programs' must not have more than 1000 programs"),
        ({"programs": [], "prune": True}, "Field 'prune' needs set: only its programs go"),
        ({"programs": [], "rollback": True}, "Field 'rollback' needs wait: true"),
        ({"programs": [], "timeout": 0}, "Field 'timeout' must be between 1 and 300"),
        ({"programs": [], "pruned": True}, "Unknown field 'pruned'"),
        ({"programs": [], "defaults": []}, "Field 'defaults' must be an object"),
        ({"programs": [], "defaults": {"name": "x"}}, "Unknown field 'name'"),
        ({"programs": [program("a"), program("b")], "defaults": {"id": 51}}, "Unknown field 'id'"),
        ({"programs": [], "defaults": {"nice": "x"}}, "Field 'nice' must be an integer"),
        ({"programs": [], "set": "-"}, "Field 'set' must have at most 63 letters, digits, '-', '_' and '.', "
         "a letter or digit first and last"),
    ],
)  # fmt: skip
def test_an_invalid_request_is_a_sentence(api: Api, body: dict[str, Any], sentence: str) -> None:
    assert api.refused(ROUTE, body) == sentence


def test_all_programs_that_break_a_rule_are_named(api: Api) -> None:
    taken = api.add(name="taken", port_range={"start": 41000, "end": 41004})
    answer = unsuccessful(
        api,
        400,
        program("fine"),
        program("lazy", lazy_load=True, boot=True),
        program("overlapping", port_range={"start": 41004, "end": 41005}),
        program("alone", depends_on=[{"program": each, "condition": "started"} for each in ("x", "y")]),
        program("both", lazy_load=True, boot=True, port_param="-p"),
    )
    lazy = "Field 'lazy_load' can't be combined with boot: true"
    missing = "Program 'alone': Field 'depends_on' names a program that does not exist:"
    assert answer["error"] == f"Program 'lazy': {lazy}"
    assert answer["errors"] == {
        "programs.1.lazy_load": [f"Program 'lazy': {lazy}"],
        "programs.2.port_start": [
            "Program 'overlapping': Port range overlaps with program 'taken' [41000-41004]"
        ],
        "programs.3.depends_on": [f"{missing} 'x'", f"{missing} 'y'"],
        "programs.4.lazy_load": [f"Program 'both': {lazy}"],
        "programs.4.port_param": ["Program 'both': port_param requires port_range to be set"],
    }
    answer = unsuccessful(api, 400, program("a", id=taken), program("b"), program("c", id=taken + 1000))
    assert list(answer["errors"]) == ["programs.0.id"]
    circle = [
        program(one, depends_on=[{"program": other, "condition": "started"}])
        for one, other in ("ab", "bc", "cb")
    ]
    answer = unsuccessful(api, 400, *circle)
    assert list(answer["errors"]) == ["programs.1.depends_on", "programs.2.depends_on"]


def test_ids_are_chosen_once(api: Api) -> None:
    taken = api.add(name="taken")
    answer = unsuccessful(api, 400, program("new", id=taken))
    assert answer["error"] == f"Program 'new': Program ID {taken} is already in use"
    assert ids(applied(api, program("new", id=51234)))["new"] == 51234
    assert applied(api, program("new", id=51234))["counts"]["unchanged"] == 1
    answer = unsuccessful(api, 400, program("new", id=51235))
    assert answer["error"] == "Program 'new': It has the ID 51234, which can't be changed to 51235"


def test_programs_of_other_sets_are_left_to_these(api: Api) -> None:
    applied(api, program("mine"), set="one")
    api.add(name="free")
    other = unsuccessful(api, 409, program("mine"), set="two")
    assert other["error"] == "Program 'mine' belongs to the set 'one', not to 'two'"
    assert other["code"] == "conflict"
    none = unsuccessful(api, 409, program("mine"))
    assert none["error"] == "Program 'mine' belongs to the set 'one': apply it with that set"
    plan = applied(api, program("free", "sleep 1000"), set="two", prune=True)
    assert changes_of(plan, "free") == {"set": (None, "two")}  # it was of no set
    assert actions(applied(api, set="two", prune=True)) == {"free": "remove"}
    assert "mine" in {each["name"] for each in everything(api)}
    id = ids(planned(api, program("mine"), set="one"))["mine"]
    api.ok(f"programs/edit/{id}", {"set": None})
    assert applied(api, program("mine"), set="two")["counts"]["change"] == 1


def test_a_program_that_was_changed_meanwhile_is_a_conflict(api: Api) -> None:
    wanted = [program("a"), program("b")]
    first = applied(api, *wanted, set="rev")
    api.ok(f"programs/edit/{ids(first)['a']}", {"description": "by hand"})
    for dry_run in (True, False):
        answer = unsuccessful(api, 409, *wanted, set="rev", revision=first["revision"], dry_run=dry_run)
        assert answer["error"] == (
            "The programs are not as they were in the revision that was given; nothing was changed"
        )
    plan = planned(api, *wanted, set="rev")
    assert changes_of(plan, "a") == {"description": ("by hand", "")}
    second = applied(api, *wanted, set="rev", revision=plan["revision"])
    assert second["revision"] == first["revision"]
    added = api.add(name="later", set="rev")
    assert unsuccessful(api, 409, *wanted, set="rev", revision=first["revision"])["code"] == "conflict"
    api.ok(f"programs/remove/{added}")
    assert applied(api, *wanted, set="rev", revision=first["revision"])["counts"]["unchanged"] == 2


# Waiting


def test_wait_returns_once_all_are_ready(api: Api) -> None:
    port = free_port()
    serving = f"python3 -m http.server {port} --bind 127.0.0.1"
    plan = applied(
        api,
        program("web", serving, boot=True, ready_port=port),
        program("after", boot=True, depends_on=[{"program": "web", "condition": "ready"}]),
        program("once", "true", boot=True),
        program("crew", boot=True, numprocs=2),
        program("idle"),
        wait=True,
    )
    assert requests.get(f"http://127.0.0.1:{port}", timeout=5).ok
    assert [api.word(ids(plan)[name]) for name in ("web", "after", "once", "idle")] == [
        "running", "running", "exited", "stopped"
    ]  # fmt: skip
    assert api.status(ids(plan)["crew"])["running_count"] == 2


def test_a_program_that_fails_is_named_and_stays_without_rollback(api: Api) -> None:
    wanted = [program("fails", FAILING, boot=True, start_retries=0), program("good", boot=True)]
    answer = unsuccessful(api, 400, *wanted, set="bad", wait=True)
    assert answer["error"] == "Program 'fails' did not start: it ended with exit code 3"
    (failed,) = answer["not_ready"]
    assert (failed["name"], failed["reason"]) == ("fails", "did not start: it ended with exit code 3")
    assert "rolled_back" not in answer
    assert planned(api, *wanted, set="bad")["counts"]["unchanged"] == 2


def test_rollback_brings_everything_back(api: Api, stack: Stack) -> None:
    before = [
        program("changed", boot=True, description="former"),
        program("removed", environment={"A": "1"}, webhooks={"urls": ["https://example.com/a"]}),
        program("apart"),
        program("halted", boot=True),
        program("paused", boot=True),
    ]
    first = applied(api, *before, set="back", wait=True)
    known = ids(first)
    for name in ("halted", "paused"):
        api.ok(f"programs/{known[name]}/stop")
    for name in ("removed", "apart"):
        api.ok(f"programs/{known[name]}/start", {"wait": True})
    secret = api.ok(f"programs/{known['removed']}/webhooks/rotate-secret", {})["secret"]
    shown = everything(api)
    apart = api.pid(known["apart"])
    answer = unsuccessful(
        api,
        400,
        program("changed", FAILING, boot=True, start_retries=0),
        program("apart", labels={"a": "b"}),
        program("new", boot=True),
        program("paused", boot=True, enabled=False),
        set="back",
        prune=True,
        wait=True,
        rollback=True,
    )
    assert answer["error"] == (
        "Program 'changed' did not start: it ended with exit code 3; the former configuration is back"
    )
    assert answer["rolled_back"] is True
    assert everything(api) == shown
    assert planned(api, *before, set="back")["revision"] == first["revision"]
    for name in ("changed", "removed"):
        api.until(known[name], "running")
    assert api.pid(known["apart"]) == apart
    # What had been stopped before stays so, though it has `boot`.
    assert [api.word(known[name]) for name in ("halted", "paused")] == ["stopped", "stopped"]
    with database.opened(stack.folder) as rows:
        query = "SELECT secret FROM daemon_programs_webhooksecret WHERE program_id = ?"
        assert rows.execute(query, (known["removed"],)).fetchone() == (secret,)


def test_time_out_says_who_is_not_ready_and_keeps_what_others_have_changed(api: Api) -> None:
    never = program("never", boot=True, ready={"port": free_port()})
    answers: list[dict[str, Any]] = []
    body = {"set": "slow", "wait": True, "timeout": 2, "rollback": True}
    thread = threading.Thread(target=lambda: answers.append(unsuccessful(api, 504, never, **body)))
    thread.start()
    (id,) = eventually(lambda: [each["id"] for each in everything(api) if each["name"] == "never"])
    api.ok(f"programs/edit/{id}", {"description": "by hand"})
    thread.join(30)
    (answer,) = answers
    assert answer["code"] == "timeout"
    assert answer["error"].startswith("Program 'never' is not ready")
    assert answer["error"].endswith(
        ", after 2 seconds; the former configuration is not back: "
        "the programs have been changed again meanwhile"
    )
    assert answer["rolled_back"] is False
    assert api.get(f"programs/{id}").json()["program"]["description"] == "by hand"


def test_a_stack_that_is_stopped_meanwhile_is_no_matter_of_the_programs(own_stack: Stack) -> None:
    api = own_stack.start().api
    answers: list[dict[str, Any]] = []
    never = program("never", boot=True, ready={"port": free_port()})
    body = {"wait": True, "timeout": 60, "rollback": True}
    waits = threading.Thread(target=lambda: answers.append(unsuccessful(api, 503, never, **body)))
    waits.start()
    (id,) = eventually(lambda: [each["id"] for each in everything(own_stack.api) if each["name"] == "never"])
    own_stack.api.until(id, "running")
    assert own_stack.stop() == 0
    waits.join(30)
    assert answers[0]["code"] == "shutting_down"
    assert answers[0]["error"] == (
        "The stack is being stopped; the programs are changed, and may not be ready"
    )


def test_wait_tells_of_instances_and_of_programs_that_wait(api: Api) -> None:
    crew = shell("test $SUPERVISOR_PROCESS_NAME = instance_0 && exec sleep 1000; exit 4")
    answer = unsuccessful(
        api, 400, program("crew", crew, boot=True, numprocs=2, start_retries=0), wait=True, timeout=20
    )
    assert "has the instance crew_" in answer["error"]
    assert "which did not start: it ended with exit code 4" in answer["error"]
    waiting = program("waits", boot=True, depends_on=[{"program": "idle", "condition": "started"}])
    answer = unsuccessful(api, 504, program("idle"), waiting, wait=True, timeout=1)
    assert answer["error"] == "Program 'waits' waits for 'idle' (started), after 1 seconds"


def test_a_program_that_is_stopped_before_it_has_run_is_not_ready() -> None:
    delayed = Program(pk=1, name="delayed", boot=True)
    plan = Plan(Wish([]), [Step(delayed, Action.CREATE)], Change(add=[delayed]), [], {})
    awaited = AwaitedPrograms(plan)
    # supervisord leaves out what is stopped and has never run.
    assert awaited.is_decided({delayed.group: {"changing": False, "digest": "", "processes": {}}})
    assert list(map(str, awaited.failed)) == ["Program 'delayed' was stopped while it was starting"]


# As a whole


def test_killed_api_leaves_all_or_nothing() -> None:
    many = [program(f"p{number:03}", environment={"N": str(number)}) for number in range(200)]
    with temporary_stack() as stack:
        api = stack.start().api
        before = everything(api)
        _kill_in_the_middle(stack, many)
        assert everything(stack.api) == before
        assert applied(api, *many, set="many")["counts"]["create"] == 200
        assert applied(api, *many, set="many")["counts"]["unchanged"] == 200
        made = everything(api)
        changed = [{**each, "command": "sleep 3000"} for each in many]
        _kill_in_the_middle(stack, changed)
        assert everything(stack.api) == made
        # Files and supervisord follow the database.
        done(stack, "reconcile")
        assert done(stack, "reconcile", "--dry-run") == "No differences found.\n"


def _kill_in_the_middle(stack: Stack, programs: list[dict[str, Any]]) -> None:
    """Apply programs, and kill the API when it has written some of their files."""
    folder = stack.folder / "conf.d"
    known = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.json")}
    worker = _worker(stack)

    def send() -> None:
        with pytest.raises(requests.RequestException):
            stack.api.post(ROUTE, {"programs": programs, "set": "many"})

    def written() -> int:
        return sum(known.get(file.name) != file.stat().st_mtime_ns for file in folder.glob("program-*.json"))

    sender = threading.Thread(target=send)
    sender.start()
    while written() < 20:
        time.sleep(0.001)
    os.kill(worker, signal.SIGKILL)
    sender.join(30)
    eventually(lambda: _worker(stack) not in (None, worker), 60)


def _worker(stack: Stack) -> int | None:
    try:
        return requests.get(f"{stack.url}/api/v1/daemon/health", timeout=5).json()["pid"]  # type: ignore[no-any-return]
    except requests.RequestException:
        return None
