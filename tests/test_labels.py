"""Labels: what filters by them accept and find, and that only readers depend on them."""

import time
from typing import Any

import pytest

from daemon_programs.validators.labels import Selector, parse_selector
from tests.admin_client import PROGRAMS, AdminClient, create_users
from tests.processes import LONG_RUNNING, started
from tests.stack import Api, Stack

LABELLED: dict[str, dict[str, str]] = {
    "labelled web": {"team": "web", "tier": "front"},
    "labelled api": {"team": "web", "tier": "back", "example.com/team": "api"},
    "labelled db": {"team": "", "1": "2"},
    "labelled none": {},
}


@pytest.fixture
def labelled(api: Api) -> Api:
    for name, labels in LABELLED.items():
        api.add(name=name, enabled=False, labels=labels)
    return api


def found(api: Api, *labels: str, **query: str) -> list[str]:
    answer = api.get("programs", label=list(labels), **query)
    assert answer.status_code == 200, answer.text
    names = [program["name"] for program in answer.json()["programs"]]
    return [name.removeprefix("labelled ") for name in names if name in LABELLED]


def test_filter_finds_programs_by_all_of_the_labels(labelled: Api) -> None:
    assert found(labelled) == ["web", "api", "db", "none"]
    assert found(labelled, "team=web") == ["web", "api"]
    assert found(labelled, "team") == ["web", "api", "db"]
    assert found(labelled, "team=") == ["db"]
    assert found(labelled, "team=Web") == []
    assert found(labelled, "1=2") == ["db"]
    assert found(labelled, "example.com/team=api") == ["api"]
    assert found(labelled, "team=web", "tier=back") == ["api"]
    assert found(labelled, "team=web", "team=db") == []
    assert found(labelled, "team", "team=web", "tier") == ["web", "api"]
    assert found(labelled, "team=web", enabled="true") == []
    assert found(labelled, "team=web", name="labelled api", include_status="true") == ["api"]


WRONG = ["", "=web", "a b", "team=a b", "team==web", "team=web,tier=back", "a/b/c", "ü"]
WRONG += ["x" * 64, "a=" + "x" * 64]


@pytest.mark.parametrize("label", WRONG)
def test_what_no_label_can_be_is_refused(api: Api, label: str) -> None:
    for labels in ([label], ["team=web", label]):
        answer = api.get("programs", label=labels)
        assert answer.status_code == 400
        assert answer.json()["error"] == (
            "Query parameter 'label' must be a label such as team=web, or the key of one, "
            f"and '{label}' is not"
        )


def test_more_labels_than_a_program_can_have_are_refused(api: Api) -> None:
    answer = api.get("programs", label=["a"] * 33)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Query parameter 'label' must not be given more than 32 times"
    assert api.get("programs", label=["a"] * 32).status_code == 200


def test_other_parameters_must_still_be_given_once(api: Api) -> None:
    answer = api.get("programs", name=["a", "b"])
    assert answer.json()["error"] == "Query parameter 'name' must be given only once"
    assert api.get("status", label="a").json()["error"] == "Unknown query parameter 'label'"


def test_change_leaves_the_process_alone(api: Api) -> None:
    id = api.add(LONG_RUNNING)
    pid = started(api, id)
    for labels in ({"team": "web"}, {"team": "db", "a": "b"}, {}):
        api.ok(f"programs/edit/{id}", {"labels": labels})
        assert api.pid(id) == pid
    assert api.status(id)["status"]["status"] in ("starting", "running")


def test_change_replaces_all_labels(api: Api) -> None:
    id = api.add(enabled=False, labels={"team": "web", "tier": "front"})
    edited = api.ok(f"programs/edit/{id}", {"labels": {"tier": "back"}})["program"]
    assert edited["labels"] == {"tier": "back"}


def test_supervisord_knows_nothing_of_labels(api: Api, stack: Stack) -> None:
    id = api.add(labels={"team": "secret-team"})
    assert "secret-team" not in (stack.folder / "conf.d" / f"program-{id}.json").read_text()


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("a", Selector("a", None)),
        ("a=", Selector("a", "")),
        ("a=b", Selector("a", "b")),
        ("a.b/c_d=e-f.G", Selector("a.b/c_d", "e-f.G")),
        ("x" * 253 + "/a", Selector("x" * 253 + "/a", None)),
        ("x" * 254 + "/a", None),
        ("a=b\n", None),
        ("a\n", None),
    ],
)
def test_selector_is_a_key_or_a_label(text: str, selector: Any) -> None:
    assert parse_selector(text) == selector


LONG = ["a" * 100_000 + "!", "a-" * 50_000, "a." * 50_000 + "/b", "a.a" * 50_000 + "!/b", "/" * 100_000]


def test_no_text_takes_long_to_refuse() -> None:
    begun = time.process_time()
    assert [parse_selector(text) for text in LONG] == [None] * len(LONG)
    assert time.process_time() - begun < 0.5


def test_admin_filters_by_the_labels_that_there_are(labelled: Api, stack: Stack) -> None:
    create_users(stack)
    boss = AdminClient(stack)
    page = boss.page(PROGRAMS)
    assert "?label=team%3Dweb" in page
    chosen = boss.page(PROGRAMS, label="team=web")
    assert [name for name in LABELLED if f">{name}</a>" in chosen] == ["labelled web", "labelled api"]
    assert "labelled none" in boss.page(PROGRAMS, label="no label")
