"""``GET programs``, ``GET programs/{id}`` and the filters (docs/contract.md, section 3)."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from daemon_programs.models import Program
from tests.stack import Api

# name → fields
PROGRAMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "boots": {"boot": True},
    "off": {"enabled": False},
    "lazy": {"lazy_load": True, "port_range": {"start": 8000, "end": 8099}},
    "ports": {"port_range": {"start": 8100, "end": 8100}},
    "off lazy": {"enabled": False, "lazy_load": True},
    "PLAIN": {},
    "日本": {"enabled": False},
}


@pytest.fixture
def listed(api: Api) -> Api:
    for name, fields in PROGRAMS.items():
        api.add(name=name, **fields)
    return api


def names(api: Api, **query: str) -> set[str]:
    answer = api.get("programs", **query)
    assert answer.status_code == 200, answer.text
    return {program["name"] for program in answer.json()["programs"]} & PROGRAMS.keys()


FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({}, set(PROGRAMS)),
    ({"enabled": "true"}, {"plain", "boots", "lazy", "ports", "PLAIN"}),
    ({"enabled": "False"}, {"off", "off lazy", "日本"}),
    ({"boot": "TRUE"}, {"boots"}),
    ({"boot": "false"}, set(PROGRAMS) - {"boots"}),
    ({"lazy_load": "true"}, {"lazy", "off lazy"}),
    ({"lazy_load": "tRuE", "enabled": "true"}, {"lazy"}),
    ({"hoody_kit": "false"}, set(PROGRAMS)),
    ({"hoody_kit": "true"}, set()),
    ({"name": "plain"}, {"plain"}),
    ({"name": "PLAIN"}, {"PLAIN"}),
    ({"name": "plai"}, set()),
    ({"name": "plain "}, set()),
    ({"name": "日本"}, {"日本"}),
    ({"name": ""}, set()),
    ({"name": "%"}, set()),
    ({"name": "plain", "enabled": "false"}, set()),
    ({"port": "8000"}, {"lazy"}),
    ({"port": "8099"}, {"lazy"}),
    ({"port": "8100"}, {"ports"}),
    ({"port": "7999"}, set()),
    ({"port": "8101"}, set()),
    ({"port_from": "8099", "port_to": "8100"}, {"lazy", "ports"}),
    ({"port_from": "8050", "port_to": "8050"}, {"lazy"}),
    ({"port_from": "1", "port_to": "65535"}, {"lazy", "ports"}),
    ({"port_from": "1", "port_to": "7999"}, set()),
    ({"port_from": "8101", "port_to": "9000"}, set()),
    ({"port_from": "1", "port_to": "8000"}, {"lazy"}),
    ({"port_from": "1", "port_to": "65535", "lazy_load": "false"}, {"ports"}),
]


def test_filters_are_combined(listed: Api) -> None:
    for query, expected in FILTERS:
        assert names(listed, **query) == expected, query


BOOLEANS = ("hoody_kit", "lazy_load", "enabled", "boot", "include_status", "include_stats")
PORTS = ("port", "port_from", "port_to")
WRONG = [
    *[(name, value, f"Query parameter '{name}' must be 'true' or 'false'")
      for name in BOOLEANS for value in ("1", "0", "yes", "", "truee", " true", "null")],
    *[(name, value, f"Query parameter '{name}' must be an integer between 1 and 65535")
      for name in PORTS
      for value in ("", "x", "0", "-1", "65536", "80.0", "1e3", " 80", "+80", "８０", "9" * 50)],
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_value_that_does_not_parse_is_refused(api: Api, name: str, value: str, sentence: str) -> None:
    answer = api.get("programs", **{name: value})
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert answer.json()["error"] == sentence


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"port_from": "1"}, "Query parameters 'port_from' and 'port_to' must be given together"),
        ({"port_to": "1"}, "Query parameters 'port_from' and 'port_to' must be given together"),
        (
            {"port_from": "2", "port_to": "1"},
            "Query parameter 'port_from' must not be greater than 'port_to'",
        ),
    ],
)
def test_half_or_reversed_port_range_is_refused(api: Api, query: dict[str, str], sentence: str) -> None:
    answer = api.get("programs", **query)
    assert answer.status_code == 400
    assert answer.json()["error"] == sentence


def test_list_is_in_id_order_and_has_no_success(api: Api) -> None:
    for id in (500_001, 500_003, 500_002):
        api.add(id=id, name=f"{600_000 - id}")
    answer = api.get("programs").json()
    assert answer.keys() == {"programs"}
    ids = [program["id"] for program in answer["programs"]]
    assert ids == sorted(ids)
    assert {500_001, 500_002, 500_003} <= set(ids)


def test_list_shows_what_get_shows(listed: Api) -> None:
    for program in listed.get("programs").json()["programs"]:
        assert listed.get(f"programs/{program['id']}").json() == {"success": True, "program": program}


def test_status_is_shown_when_asked_for_only(api: Api) -> None:
    running, off = api.add(boot=True), api.add(enabled=False)
    ports = api.add(port_range={"start": 64000, "end": 64004})
    plain = {program["id"]: program for program in api.get("programs").json()["programs"]}
    assert not any("status" in program or "stats" in program for program in plain.values())
    shown = {
        program["id"]: program for program in api.get("programs", include_status="true").json()["programs"]
    }
    assert {id: {**program, "status": shown[id]["status"]} for id, program in plain.items()} == shown
    assert shown[running]["status"].keys() == {"id", "status", "pid", "uptime"}
    assert shown[running]["status"]["pid"] == api.pid(running)
    assert shown[off]["status"] == {"id": off, "status": "stopped"}
    assert shown[ports]["status"] == {
        "type": "port-range",
        "running_instances": 0,
        "total_instances": 5,
        "instances": [],
    }
    assert api.get("programs", include_status="false").json()["programs"] == list(plain.values())


@pytest.mark.parametrize(
    "id", ["0", "999999", "-1", "abc", "1.0", "1e3", "９", "9" * 19, "9" * 100, "%00", "add "]
)
@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("get", "programs/{}"), ("get", "programs/{}/logs"), ("get", "status/{}"),
        ("post", "programs/edit/{}"), ("post", "programs/remove/{}"), ("post", "programs/{}/enable"),
        ("post", "programs/{}/disable"), ("post", "programs/{}/start"), ("post", "programs/{}/stop"),
        ("post", "programs/{}/restart"),
    ],
)  # fmt: skip
def test_unknown_id_is_a_404_on_every_route(api: Api, method: str, route: str, id: str) -> None:
    answer = getattr(api, method)(route.format(id))
    assert answer.status_code == 404, answer.text
    shown = id.replace("%00", "\0")
    assert {**answer.json(), "code": ""} == {
        "success": False,
        "error": f"Program with ID {shown} not found",
        "code": "",
    }


@pytest.mark.django_db
def test_hoody_kit_filter_finds_what_lies_below_the_root(
    settings: Any, tmp_path: Path, admin_client: Client
) -> None:
    settings.KIT_ROOT = str(tmp_path)
    Program.objects.bulk_create(
        [
            Program(name="kit", command="true", user="root", directory=str(tmp_path)),
            Program(name="none", command="true", user="root", directory="/"),
        ]
    )
    for value, name in (("true", "kit"), ("false", "none")):
        answer = admin_client.get("/api/v1/daemon/programs", {"hoody_kit": value}).json()
        assert [(each["name"], each["hoody_kit"]) for each in answer["programs"]] == [(name, value == "true")]
