"""``GET programs``, ``GET programs/{id}`` and the filters (docs/contract.md, section 3)."""

import base64
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from daemon_programs.api.lists import list_page
from daemon_programs.models import Program
from daemon_programs.programs import waiting
from daemon_programs.serializers.list_queries import ListCursor
from tests.processes import LONG_RUNNING, python
from tests.stack import OWN_USER, Api, eventually

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


# What is listed


@pytest.fixture
def varied(api: Api) -> Api:
    api.add(name="v Web", command=f"{LONG_RUNNING} ÄPFEL", boot=True)
    api.add("sh -c 'exit 5'", name="v job", start_retries=0, boot=True)
    api.add(name="v off", enabled=False, description="Kept for äpfel")
    api.add(name="v idle", numprocs=2)
    eventually(lambda: found(api, status="fatal") == ["job"] and found(api, status="running") == ["Web"])
    return api


def found(api: Api, **query: Any) -> list[str]:
    """Return the names of the programs above in the order of the list."""
    answer = api.get("programs", **query)
    assert answer.status_code == 200, answer.text
    names = [program["name"] for program in answer.json()["programs"]]
    return [name.removeprefix("v ") for name in names if name.startswith("v ")]


def test_more_filters_find_programs(varied: Api) -> None:
    for query, expected in (
        ({"status": "stopped"}, ["idle"]),
        ({"status": "disabled"}, ["off"]),
        ({"status": ["running", "disabled"]}, ["Web", "off"]),
        ({"status": "backoff"}, []),
        ({"user": OWN_USER}, ["Web", "job", "off", "idle"]),
        ({"user": "nobody-at-all"}, []),
        ({"q": "V W"}, ["Web"]),
        ({"q": "äpfel"}, ["Web", "off"]),
        ({"q": "exit 5"}, ["job"]),
        ({"q": "äpfel", "status": "disabled"}, ["off"]),
        ({"q": "%"}, []),
    ):
        assert found(varied, **query) == expected, query


def test_list_is_sorted(varied: Api) -> None:
    for sort, expected in (
        ("id", ["Web", "job", "off", "idle"]),
        ("-id", ["idle", "off", "job", "Web"]),
        ("name", ["idle", "job", "off", "Web"]),
        ("-name", ["Web", "off", "job", "idle"]),
        ("status", ["off", "job", "Web", "idle"]),
        ("-status", ["idle", "Web", "job", "off"]),
        ("memory", ["job", "off", "idle", "Web"]),
        ("-cpu", ["Web", "job", "off", "idle"]),
    ):
        assert found(varied, sort=sort) == expected, sort


def test_instances_are_sorted_by_what_they_use_together(api: Api) -> None:
    memory = python("x = bytearray(40_000_000); import time; time.sleep(1000)")
    api.add(memory, name="v one", boot=True)
    api.add(memory, name="v two", boot=True, numprocs=2)
    eventually(lambda: found(api, sort="-memory", limit=2) == ["two", "one"])


def test_fields_are_all_that_is_shown(varied: Api) -> None:
    def shown(**query: Any) -> list[dict[str, Any]]:
        return varied.get("programs", q="v ", **query).json()["programs"]  # type: ignore[no-any-return]

    assert [list(each) for each in shown(fields="name,id")] == [["id", "name"]] * 4
    assert [list(each) for each in shown(fields="display")] == [[]] * 4
    web, job, *_ = shown(fields="status,stats")
    assert web["status"]["status"] == "running"
    assert web["stats"]["process_count"] == 1
    assert list(job) == ["status"]
    assert all(list(each) == ["name"] for each in shown(fields="name", include_stats="true"))
    assert all("stats" not in each for each in shown(fields="name,status", sort="cpu"))


# Pages


def test_pages_follow_each_other(varied: Api) -> None:
    for sort in ("id", "name", "-name", "status", "-status", "memory", "-cpu"):
        names, cursor = [], None
        for _ in range(10):
            query = {"sort": sort, "q": "v ", "limit": 3, **({"cursor": cursor} if cursor else {})}
            answer = varied.get("programs", **query).json()
            assert len(answer["programs"]) <= 3
            names += [program["name"] for program in answer["programs"]]
            cursor = answer["next"]
            if cursor is None:
                break
        assert [name.removeprefix("v ") for name in names] == found(varied, sort=sort), sort
    assert "next" not in varied.get("programs", sort="name").json()


def test_pages_are_shifted_by_no_change(varied: Api) -> None:
    first = varied.get("programs", sort="name", q="v ", limit=2).json()
    assert [each["name"] for each in first["programs"]] == ["v idle", "v job"]
    varied.add(name="v a new one")
    varied.ok(f"programs/remove/{first['programs'][1]['id']}")
    assert found(varied, sort="name", q="v ", cursor=first["next"]) == ["off", "Web"]


Row = tuple[int, str | float]


def pages(rows: list[Row], sort: str, limit: int) -> list[Row]:
    """Return the rows of all pages, one after the other."""
    seen: list[Row] = []
    query: dict[str, Any] = {"sort": sort, "limit": limit}
    while True:
        page, more = list_page(rows, query, id_of=lambda row: row[0], value_of=lambda row: row[1])
        assert len(page) <= limit
        seen += page
        if more["next"] is None:
            return seen
        query["cursor"] = ListCursor.decode(more["next"])


@pytest.mark.parametrize(
    "values", [["b", "a", "ä", "日本", "a", "a", '"\\/'], [0.1, -1, 12.5, 12.5, 2**60, 0.0, -1]]
)
@pytest.mark.parametrize("sort", ["name", "-name"])
def test_pages_have_each_row_once_and_equals_in_id_order(values: list[str | float], sort: str) -> None:
    rows = list(enumerate(values))
    ordered = sorted(rows, key=lambda row: row[1], reverse=sort == "-name")
    assert [pages(rows, sort, limit) for limit in (1, 2, 3, 7, 9)] == [ordered] * 5


FOREIGN = ListCursor("name", "web", 1).encode()
NOT_A_NUMBER = base64.urlsafe_b64encode(b'["cpu", NaN, 1]').decode().rstrip("=")
OTHER_SORT = "Query parameter 'cursor' must be the 'next' of an answer with the same sort"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"status": "up"}, "Query parameter 'status' must be one of: running, stopped, "),
        ({"status": ["running", ""]}, "Query parameter 'status' must be one of: running, stopped, "),
        ({"sort": "pid"}, "Query parameter 'sort' must be one of: id, -id, name, "),
        ({"sort": "+name"}, "Query parameter 'sort' must be one of: id, -id, name, "),
        ({"sort": ["id", "name"]}, "Query parameter 'sort' must be given only once"),
        ({"q": ""}, "Query parameter 'q' must be a text of 1 to 200 characters"),
        ({"q": "x" * 201}, "Query parameter 'q' must be a text of 1 to 200 characters"),
        (
            {"fields": "name,nothing"},
            "Query parameter 'fields' must be names of fields with commas between them, "
            "and 'nothing' is none",
        ),
        ({"fields": "id, name"}, "Query parameter 'fields' must be names"),
        ({"fields": ""}, "Query parameter 'fields' must be names"),
        ({"limit": "0"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        ({"limit": "1001"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        *(
            ({"cursor": cursor}, "Query parameter 'cursor' must be the 'next' of an earlier answer")
            for cursor in (
                "",
                "1",
                "é",
                "WzFd",
                "x" * 5000,
                "bnVsbA",
                "e30",
                f"{FOREIGN}=",
                "W" * 4000,
                NOT_A_NUMBER,
            )
        ),
        ({"cursor": FOREIGN}, OTHER_SORT),
        ({"cursor": ListCursor("name", 5, 1).encode(), "sort": "name"}, OTHER_SORT),
    ],
)
@pytest.mark.parametrize("route", ["programs", "quick-start"])
def test_query_of_a_list_is_refused(api: Api, route: str, query: dict[str, Any], sentence: str) -> None:
    answer = api.get(route, **query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"].startswith(sentence)


@pytest.mark.django_db
def test_supervisord_is_asked_only_if_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, admin_client: Client
) -> None:
    asked = []

    def states() -> dict[str, Any]:
        asked.append(True)
        return {}

    monkeypatch.setattr(waiting, "states", states)
    Program.objects.bulk_create([Program(name="one", command="true", user=OWN_USER, enabled=False)])
    for query, count in (
        ("", 0), ("sort=name&limit=1&fields=id,name&q=x&user=y", 0), ("include_status=false", 0),
        ("status=running", 1), ("sort=status", 1), ("sort=cpu&include_stats=true", 1), ("fields=status", 1),
    ):  # fmt: skip
        asked.clear()
        assert admin_client.get(f"/api/v1/daemon/programs?{query}").status_code == 200
        assert len(asked) == count, query
