"""``POST programs/batch``: one verb for the programs that are selected, and what has become of each."""

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from daemon_programs.api.base import OPERATE, VIEW
from daemon_programs.api.batch import _permitted
from daemon_programs.exceptions import NotPermitted
from daemon_programs.models import Program
from tests.processes import LONG_RUNNING, shell
from tests.stack import Api, Stack, eventually
from tests.test_access import FORGET_USERS, MAKE_USERS


def ids(*numbers: int) -> dict[str, Any]:
    return {"ids": list(numbers)}


def batch(api: Api, action: str, select: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Do it, and return the results by name or id without these."""
    answer = api.ok("programs/batch", {"action": action, "select": select, **options})
    assert answer.keys() == {"success", "results", "counts"}
    results = {each.pop("name", None) or each["id"]: each for each in answer["results"]}
    words = [each["result"] for each in results.values()]
    assert answer["counts"] == {word: words.count(word) for word in ("done", "planned", "skipped", "failed")}
    for each in results.values():
        each.pop("id", None)
    return results


DONE = {"result": "done"}
PLANNED = {"result": "planned"}


def skipped(code: str, reason: str) -> dict[str, str]:
    return {"result": "skipped", "code": code, "reason": reason}


def failed(code: str, error: str) -> dict[str, str]:
    return {"result": "failed", "code": code, "error": error}


def test_day_of_a_batch(api: Api) -> None:
    one, two = api.add(name="b one", reload={"command": "true"}), api.add(name="b two")
    off = api.add(name="b off", enabled=False)
    crew = api.add(LONG_RUNNING, name="b crew", numprocs=2)
    chosen = {"names": ["b *"]}

    planned = batch(api, "start", chosen, dry_run=True)
    assert planned == {
        "b one": PLANNED, "b two": PLANNED, "b crew": PLANNED,
        "b off": skipped("disabled", f"Program with ID {off} is disabled"),
    }  # fmt: skip
    assert api.word(one) == "stopped"

    began = batch(api, "start", chosen, wait=True)
    assert [began[name] for name in ("b one", "b two", "b crew")] == [DONE] * 3
    assert began["b off"] == planned["b off"]
    assert [api.word(one), api.word(two), api.status(crew)["running_count"]] == ["running", "running", 2]
    again = batch(api, "start", chosen)
    assert again["b one"] == skipped("ran_already", f"Program with ID {one} ran already")
    assert again["b crew"] == skipped("ran_already", f"Program with ID {crew} ran already")

    pid = api.pid(one)
    assert batch(api, "restart", ids(one, crew), wait=True) == {"b one": DONE, "b crew": DONE}
    assert api.pid(one) != pid
    assert batch(api, "reload", ids(one, two)) == {
        "b one": DONE, "b two": skipped("no_reload", f"Program with ID {two} has no reload")
    }  # fmt: skip
    assert batch(api, "signal", ids(one, off), signal="KILL", scope="tree")["b one"] == DONE
    api.until(one, "backoff")
    assert batch(api, "stop", chosen)["b off"] == skipped(
        "not_running", f"Program with ID {off} is not running"
    )
    assert [api.word(one), api.word(two), api.status(crew)["running_count"]] == ["stopped", "stopped", 0]

    disabled = batch(api, "disable", chosen)
    assert disabled["b one"] == DONE
    assert disabled["b off"] == skipped("disabled_already", f"Program with ID {off} was disabled already")
    assert api.get(f"programs/{one}").json()["program"]["enabled"] is False
    assert batch(api, "enable", {"names": ["b *"], "states": ["disabled"]})["b off"] == DONE
    assert batch(api, "remove", chosen) == dict.fromkeys(("b one", "b two", "b off", "b crew"), DONE)
    assert api.get(f"programs/{one}").status_code == 404
    assert batch(api, "remove", chosen) == {}


def test_parts_of_a_selection_narrow_it(api: Api) -> None:
    web = api.add(name="s web", labels={"team": "shop", "tier": "front"})
    mail = api.add(name="s mail", labels={"team": "shop"})
    api.add(name="s other")
    own = {"names": ["s *"]}
    for select, names in (
        ({**own, "labels": ["team=shop"]}, {"s web", "s mail"}),
        ({**own, "labels": ["team=shop", "tier"]}, {"s web"}),
        (ids(web, mail), {"s web", "s mail"}),
        ({**ids(web, mail), "names": ["*mail"]}, {"s mail"}),
        ({**own, "states": ["running"]}, set()),
        ({"all": True}, {"s web", "s mail", "s other"}),
    ):
        found = batch(api, "start", select, dry_run=True).keys()
        assert {name for name in found if str(name).startswith("s ")} == names, select


def test_what_is_named_and_does_not_exist_has_failed(api: Api) -> None:
    id = api.add(name="m here")
    select = {"ids": [id, 999_999], "names": ["m here", "m gone", "m go*"]}
    assert batch(api, "start", select) == {
        "m here": DONE,
        999_999: failed("not_found", "Program with ID 999999 not found"),
        "m gone": failed("not_found", "Program with name 'm gone' not found"),
    }


def test_each_failure_has_the_sentence_of_the_single_verb(api: Api) -> None:
    bad = api.add(shell("exit 5"), name="f bad", start_retries=0)
    slow = api.add(LONG_RUNNING, name="f slow", start_seconds=60)
    good = api.add(name="f good")
    results = batch(api, "start", ids(bad, slow, good), wait=True, timeout=2)
    assert results == {
        "f bad": failed("refused", f"Program with ID {bad} did not start: it ended with exit code 5"),
        "f slow": failed("timeout", f"Program with ID {slow} is not running after 2 seconds"),
        "f good": DONE,
    }
    api.ok(f"programs/edit/{good}", {"reload": {"command": "sh -c 'exit 3'"}})
    (result,) = batch(api, "reload", ids(good)).values()
    assert result == failed("refused", api.refused(f"programs/{good}/reload", {}))


def test_rehearsal_finds_what_can_not_be_started(api: Api) -> None:
    id = api.add("true", name="r gone")
    api.ok(f"programs/edit/{id}", {"command": "/nowhere/at-all"})
    (planned,) = batch(api, "start", ids(id), dry_run=True).values()
    assert planned["code"] == "refused"
    assert "command not found: /nowhere/at-all" in planned["error"]


def test_history_says_who_asked(api: Api, stack: Stack) -> None:
    numbers = [api.add(LONG_RUNNING) for _ in range(3)]
    batch(api, "start", ids(*numbers), wait=True)
    for id in numbers:
        route = f"programs/{id}/events"
        first = eventually(lambda route=route: api.get(route).json()["events"])[-1]
        assert (first["state"], first["by"], first["user"]) == ("starting", "api", "admin")


def test_stops_take_their_time_at_the_same_time(api: Api) -> None:
    slow = shell("trap 'sleep 0.5; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    numbers = [api.add(slow, name=f"t {n}", ready={"log": "ready"}) for n in range(12)]
    batch(api, "start", ids(*numbers), wait=True)
    began = time.monotonic()
    assert set(map(str, batch(api, "stop", ids(*numbers)).values())) == {str(DONE)}
    assert time.monotonic() - began < 12 * 0.5
    assert {api.word(id) for id in numbers} == {"stopped"}


# What is refused


NOTHING = "Field 'select' must name programs: by ids, names, labels or states, or all: true"


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        ({"select": {"all": True}}, "action", "Field 'action' is required"),
        ({"action": "fly", "select": {"all": True}}, "action", "Field 'action' must be one of: start, stop"),
        ({"action": "start"}, "select", "Field 'select' is required"),
        ({"action": "start", "select": []}, "select", "Field 'select' must be an object"),
        ({"action": "start", "select": None}, "select", "Field 'select' must be an object"),
        ({"action": "start", "select": {}}, "select", NOTHING),
        ({"action": "start", "select": {"all": False}}, "select", NOTHING),
        (
            {"action": "start", "select": {"all": True, "ids": [1]}},
            "select",
            "Field 'select' can't be combined: all is without other fields",
        ),
        ({"action": "start", "select": {"id": 1}}, "select.id", "Unknown field 'id'"),
        ({"action": "start", "select": {"ids": []}}, "select.ids", "Field 'ids' must not be empty"),
        ({"action": "start", "select": {"labels": []}}, "select.labels", "Field 'labels' must not be empty"),
        ({"action": "start", "select": {"ids": 1}}, "select.ids", "Field 'ids' must be a list"),
        ({"action": "start", "select": {"ids": [1, "2"]}}, "select.ids", "Field 'ids[1]' must be an integer"),
        ({"action": "start", "select": {"ids": [0]}}, "select.ids", "Field 'ids[0]' must be between 1 and"),
        ({"action": "start", "select": {"names": ["a\0"]}}, "select.names", "Field 'names[0]' must not"),
        (
            {"action": "start", "select": {"labels": ["a b"]}},
            "select.labels",
            "Field 'labels[0]' must be a label such as team=web, or the key of one",
        ),
        ({"action": "start", "select": {"states": ["up"]}}, "select.states", "Field 'states[0]' must be"),
        (
            {"action": "start", "select": {"states": ["stopped"] * 10}},
            "select.states",
            "Field 'states' must have at most 9 elements",
        ),
        ({"action": "start", "select": {"all": True}, "force": True}, "force", "Unknown field 'force'"),
        (
            {"action": "stop", "select": {"all": True}, "wait": True},
            "wait",
            "Field 'wait' can't be combined with action: stop",
        ),
        (
            {"action": "start", "select": {"all": True}, "signal": "HUP"},
            "signal",
            "Field 'signal' can't be combined with action: start",
        ),
        (
            {"action": "signal", "select": {"all": True}},
            "signal",
            "Field 'signal' is required with action: signal",
        ),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(api: Api, body: dict[str, Any], field: str, sentence: str) -> None:
    answer = api.post("programs/batch", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"].startswith(sentence)
    assert list(answer.json()["errors"]) == [field]


def test_defaults_may_be_sent(api: Api) -> None:
    id = api.add(name="d")
    defaults = {"wait": False, "timeout": 30, "scope": "main", "dry_run": False}
    skip = skipped("not_running", f"Program with ID {id} is not running")
    assert batch(api, "stop", {**ids(id), "all": False}, **defaults) == {"d": skip}


# Who may do it


@pytest.fixture(scope="module")
def users(stack: Stack) -> Iterator[dict[str, Api]]:
    """Clients of users with different permissions: see `test_access`."""
    made = stack.manage("shell", "-v", "0", "-c", FORGET_USERS + MAKE_USERS)
    tokens = re.findall(r"^token (\w+) (\S+)$", made.stdout, re.M)
    yield {name: stack.client(token) for name, token in tokens}
    assert stack.manage("shell", "-v", "0", "-c", FORGET_USERS).returncode == 0


def test_action_takes_its_own_permission(api: Api, users: dict[str, Api]) -> None:
    id = api.add(name="p")
    starter = users["starter"]
    assert batch(starter, "start", ids(id)) == {"p": DONE}
    assert batch(starter, "stop", ids(id), dry_run=True) == {"p": PLANNED}
    for action in ("enable", "disable", "remove"):
        for dry_run in (False, True):
            sentence = starter.refused(
                "programs/batch", {"action": action, "select": ids(id), "dry_run": dry_run}, 403
            )
            assert sentence == "You do not have the permission to do this"
    assert api.word(id) != "stopped"
    assert batch(users["operator"], "remove", ids(id)) == {"p": DONE}


class Person:
    """A user who may see all programs, and operate those with even ids."""

    def has_perm(self, permission: str, program: Program | None = None) -> bool:
        return permission in VIEW or (program is not None and program.pk % 2 == 0)

    def has_perms(self, permissions: list[str], program: Program | None = None) -> bool:
        return all(self.has_perm(permission, program) for permission in permissions)


def test_permission_may_be_for_some_programs() -> None:
    programs = [Program(pk=number) for number in (1, 2, 3, 4)]
    assert _permitted(Person(), OPERATE, programs) == [programs[1], programs[3]]
    assert _permitted(Person(), VIEW, programs) == programs
    with pytest.raises(NotPermitted):
        _permitted(Person(), OPERATE, programs[:1])


@pytest.mark.parametrize("name", ["viewer", "blind", "none"])
def test_who_may_do_nothing_is_told_so_first(users: dict[str, Api], name: str) -> None:
    assert users[name].post("programs/batch", {"nonsense": 1}).status_code == 403


# Beside others


def test_waiting_batch_is_one_request_that_waits(api: Api) -> None:
    numbers = [api.add(LONG_RUNNING, name=f"w {n}", start_seconds=60) for n in range(20)]
    results: list[Any] = []
    thread = threading.Thread(
        target=lambda: results.append(batch(api, "start", ids(*numbers), wait=True, timeout=60))
    )
    thread.start()
    eventually(lambda: api.word(numbers[-1]) == "starting")
    began = time.monotonic()
    assert batch(api, "stop", ids(*numbers))["w 0"] == DONE
    thread.join(20)
    assert time.monotonic() - began < 20
    (result,) = results
    assert result["w 0"] == failed(
        "refused", f"Program with ID {numbers[0]} was stopped while it was starting"
    )
