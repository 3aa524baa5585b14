"""Reading over all hosts: programs, states, events and usage, from what the hosts have told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from daemon_programs.serializers.list_queries import ListCursor
from fleet.exceptions import HostNotFound
from fleet.models import FollowedProgram, Host, Link
from fleet.reading.hosts import all_hosts, chosen_hosts
from tests.fleet.conftest import Reader
from tests.fleet.copies import add_event, add_host, add_program, add_usage

pytestmark = pytest.mark.django_db
ROUTES = ("fleet/programs", "fleet/status", "fleet/events", "fleet/usage", "fleet/logs")


@pytest.fixture
def three() -> list[Host]:
    """Three hosts, of which one is lost, with two programs each."""
    hosts = [
        add_host("web-2", labels={"role": "web", "dc": "a"}),
        add_host("web-1", labels={"role": "web"}, version="1.2.0"),
        add_host("db-1", state="lost", age=180, error="no answer", labels={"role": "db"}),
    ]
    for host in hosts:
        add_program(host, 1, "api", cpu_percent=10.0 * host.pk, memory_bytes=100, labels={"team": "a"})
        add_program(host, 2, "Job", "fatal" if host.name == "web-2" else "stopped", labels={"7": "x"})
    return hosts


def names(answer: dict[str, Any]) -> list[str]:
    return [f"{row['host']}/{row['program']['name']}" for row in answer["programs"]]


# Hosts and ages


def test_host_tells_until_when_it_was_heard_of(reader: Reader, three: list[Host]) -> None:
    answer = reader.ok("fleet/programs", host="web-1")
    (age,) = answer["hosts"]
    assert age["name"] == "web-1"
    assert age["state"] == "current"
    assert 1 <= age["age_seconds"] < 10
    assert answer["programs"][0]["age_seconds"] == age["age_seconds"]
    heard_at = datetime.fromisoformat(age["heard_at"])
    assert 1 <= (datetime.now(UTC) - heard_at).total_seconds() < 10
    assert "error" not in age


def test_hosts_that_are_not_current_are_told_on_each_page(reader: Reader, three: list[Host]) -> None:
    add_host("new", state="new")
    answer = reader.ok("fleet/programs", limit=1, sort="-host")
    assert names(answer) == ["web-2/Job"]
    told = {host["name"]: (host["state"], host.get("error")) for host in answer["hosts"]}
    assert told == {"web-2": ("current", None), "db-1": ("lost", "no answer"), "new": ("new", None)}


def test_host_that_nobody_follows_is_lost_though_nobody_has_written_so() -> None:
    add_host("web", age=61)
    (host,) = all_hosts()
    assert (host.state, host.error) == ("lost", "No process of the hub follows it at the moment")
    assert host.since == host.heard_at


def test_host_without_a_link_is_new() -> None:
    Host.objects.create(name="web", url="http://127.0.0.1:1", sealed_token="none")
    (host,) = all_hosts()
    assert host.freshness == {"name": "web", "state": "new", "heard_at": None, "age_seconds": None}


def test_clock_that_is_behind_makes_no_negative_age() -> None:
    add_host("web", age=-5)
    assert all_hosts()[0].age_seconds == 0


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"host": "web-1"}, ["web-1"]),
        ({"host": ["web-?", "db-1"]}, ["db-1", "web-1", "web-2"]),
        ({"host": "nothing-*"}, []),
        ({"host_label": "role=web"}, ["web-1", "web-2"]),
        ({"host_label": ["role=web", "dc"]}, ["web-2"]),
        ({"host": "*-1", "host_label": "role=web"}, ["web-1"]),
        ({"host_label": "role="}, []),
    ],
)
def test_hosts_are_chosen_by_names_globs_and_labels(
    reader: Reader, three: list[Host], query: dict[str, Any], found: list[str]
) -> None:
    chosen = [row["host"] for row in reader.ok("fleet/programs", q="api", **query)["programs"]]
    assert chosen == found
    assert sorted(host["name"] for host in reader.ok("fleet/status", **query)["hosts"]) == found
    assert [host["name"] for host in reader.ok("fleet/usage", **query)["hosts"]] == found


@pytest.mark.parametrize("route", [*ROUTES, "fleet/events/stream"])
def test_name_that_no_host_has_is_404(reader: Reader, three: list[Host], route: str) -> None:
    assert reader.refused(route, 404, host=["web-1", "web-9"]) == "Host 'web-9' not found"


def test_long_name_is_told_in_part() -> None:
    with pytest.raises(HostNotFound) as problem:
        chosen_hosts(["x" * 1000])
    assert len(str(problem.value)) < 160


# Programs


def test_programs_are_the_documents_of_the_hosts_in_their_order(reader: Reader, three: list[Host]) -> None:
    answer = reader.ok("fleet/programs")
    assert names(answer) == ["db-1/api", "db-1/Job", "web-1/api", "web-1/Job", "web-2/api", "web-2/Job"]
    document = FollowedProgram.objects.get(host__name="db-1", program_id=1).document
    assert answer["programs"][0]["program"] == document
    assert answer["next"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "fatal"}, ["web-2/Job"]),
        ({"state": ["fatal", "running"], "host": "web-2"}, ["web-2/api", "web-2/Job"]),
        ({"label": "team=a", "host": "web-*"}, ["web-1/api", "web-2/api"]),
        ({"label": "7=x", "host": "web-1"}, ["web-1/Job"]),
        ({"label": "7", "host": "web-1"}, ["web-1/Job"]),
        ({"label": ["team", "7"]}, []),
        ({"q": "JOB", "host": "web-1"}, ["web-1/Job"]),
        ({"q": "Sleep", "host": "web-1"}, ["web-1/api", "web-1/Job"]),
        ({"q": "%"}, []),
    ],
)
def test_programs_are_filtered(
    reader: Reader, three: list[Host], query: dict[str, Any], found: list[str]
) -> None:
    assert names(reader.ok("fleet/programs", **query)) == found


@pytest.mark.parametrize("sort", ["host", "name", "state", "cpu", "memory"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_together_are_the_list_in_order(
    reader: Reader, three: list[Host], sign: str, sort: str
) -> None:
    whole = reader.ok("fleet/programs", sort=sign + sort)
    reverse = reader.ok("fleet/programs", sort=sort if sign else f"-{sort}")
    assert names(whole) == names(reverse)[::-1]
    paged: list[str] = []
    query: dict[str, Any] = {"limit": 1, "sort": sign + sort}
    while len(paged) < 10:
        answer = reader.ok("fleet/programs", **query)
        paged += names(answer)
        if answer["next"] is None:
            break
        query["cursor"] = answer["next"]
    assert paged == names(whole)


def test_what_does_not_run_is_below_what_uses_nothing(reader: Reader, three: list[Host]) -> None:
    add_program(three[1], 3, "idle", cpu_percent=0.0, memory_bytes=0)
    for sort in ("-cpu", "-memory"):
        assert names(reader.ok("fleet/programs", sort=sort))[3] == "web-1/idle"


def test_page_goes_on_behind_a_program_that_is_gone(reader: Reader, three: list[Host]) -> None:
    cursor = reader.ok("fleet/programs", limit=2)["next"]
    FollowedProgram.objects.filter(host__name="db-1").delete()
    assert names(reader.ok("fleet/programs", limit=1, cursor=cursor)) == ["web-1/api"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"sort": "id"}, "Query parameter 'sort' must be one of: host, -host, name, -name, state, -state"),
        ({"state": "failed"}, "Query parameter 'state' must be one of: running, stopped"),
        ({"limit": "0"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        ({"q": ""}, "Query parameter 'q' must be a text of 1 to 200 characters"),
        ({"q": "a\0"}, "Query parameter 'q' must not contain NUL characters"),
        ({"label": "!"}, "Query parameter 'label' must be a label such as team=web"),
        ({"host_label": "!"}, "Query parameter 'host_label' must be a label such as team=web"),
        ({"host": ["x"] * 201}, "Query parameter 'host' must not be given more than 200 times"),
        ({"cursor": "x"}, "Query parameter 'cursor' must be the 'next' of an earlier answer"),
        ({"fields": "id"}, "Unknown query parameter 'fields'"),
    ],
)
def test_query_that_is_not_valid_is_refused(reader: Reader, query: dict[str, Any], sentence: str) -> None:
    assert reader.refused("fleet/programs", **query).startswith(sentence)


@pytest.mark.parametrize(
    ("sort", "value", "id"),
    [
        ("name", "a", 1),
        ("host", 1.0, 1),
        ("cpu", "a", 1),
        ("cpu", 10**400, 1),
        ("host", "a\0", 1),
        ("host", "a", 2**63),
        ("host", "a", -1),
    ],
)
def test_cursor_of_another_order_or_that_was_made_up_is_refused(
    reader: Reader, sort: str, value: Any, id: int
) -> None:
    cursor = ListCursor(sort, value, id).encode()
    asked = "host" if sort == "name" else sort
    sentence = "Query parameter 'cursor' must be the 'next' of an answer with the same sort"
    assert reader.refused("fleet/programs", sort=asked, cursor=cursor) == sentence


# States


def test_status_counts_programs_over_all_hosts_and_tells_problems_first(
    reader: Reader, three: list[Host]
) -> None:
    add_host("a", state="new")
    add_host("calm")
    answer = reader.ok("fleet/status")
    assert answer["counts"] == {"fatal": 1, "running": 3, "stopped": 2}
    assert answer["host_counts"] == {"current": 3, "lost": 1, "new": 1}
    assert [host["name"] for host in answer["hosts"]] == ["db-1", "web-2", "a", "calm", "web-1"]
    lost, failing, *_, fine = answer["hosts"]
    assert (lost["state"], lost["error"], lost["counts"]) == (
        "lost",
        "no answer",
        {"running": 1, "stopped": 1},
    )
    assert lost["age_seconds"] >= 180
    assert (failing["problems"], fine["problems"], fine["version"]) == (1, 0, "1.2.0")


# Events


def test_events_are_in_the_order_of_the_hub_with_its_ids(reader: Reader, three: list[Host]) -> None:
    ids = [add_event(three[0], 7), add_event(three[1], 3, "running"), add_event(three[0], 8, age=300)]
    answer = reader.ok("fleet/events")
    assert [event["id"] for event in answer["events"]] == ids[::-1]
    assert [event["host"] for event in answer["events"]] == ["web-2", "web-1", "web-2"]
    assert [event["event"]["id"] for event in answer["events"]] == [8, 3, 7]
    assert {host["name"] for host in answer["hosts"]} == {"web-1", "web-2", "db-1"}
    page = reader.ok("fleet/events", limit=2)
    assert reader.ok("fleet/events", cursor=page["next"])["events"] == answer["events"][2:]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"host": "web-2"}, [8, 7]),
        ({"host_label": "role=db"}, []),
        ({"state": "running"}, [3]),
        ({"since": "1m"}, [3, 7]),
        ({"label": "team=a"}, [8, 3, 7]),
        ({"label": "team=b"}, []),
    ],
)
def test_events_are_filtered(
    reader: Reader, three: list[Host], query: dict[str, Any], numbers: list[int]
) -> None:
    add_event(three[0], 7)
    add_event(three[1], 3, "running")
    add_event(three[0], 8, age=300)
    found = [event["event"]["id"] for event in reader.ok("fleet/events", **query)["events"]]
    assert found == numbers


# Usage


def test_usage_is_that_of_the_last_hour_by_the_minute(reader: Reader, three: list[Host]) -> None:
    add_usage(three[1], minutes_ago=3, cpu_percent=1.5, memory_bytes=10)
    add_usage(three[1], minutes_ago=2, cpu_percent=2.5, memory_bytes=20)
    add_usage(three[1], minutes_ago=90)
    (host,) = reader.ok("fleet/usage", host="web-1")["hosts"]
    assert (host["name"], host["state"]) == ("web-1", "current")
    assert [minute["memory_bytes"] for minute in host["usage"]] == [10, 20]
    assert host["usage"][0]["cpu_percent"] == 1.5
    begin = datetime.fromisoformat(host["usage"][0]["minute"])
    assert timedelta(minutes=3) <= datetime.now(UTC) - begin < timedelta(minutes=5)
    (host,) = reader.ok("fleet/usage", host="web-1", since="2h")["hosts"]
    assert len(host["usage"]) == 3


# Costs and permissions


@pytest.mark.parametrize("route", ROUTES[:4])
def test_route_asks_the_database_as_often_for_sixty_hosts_as_for_three(
    reader: Reader, three: list[Host], route: str
) -> None:
    counts = []
    for number in (0, 60):
        hosts = Host.objects.bulk_create(
            [Host(name=f"h{each}", url="http://h", sealed_token="none") for each in range(number)]
        )
        Link.objects.bulk_create([Link(host=host) for host in hosts])
        for host in hosts:
            add_program(host, 1)
        with CaptureQueriesContext(connection) as queries:
            reader.ok(route, label="team") if route == "fleet/programs" else reader.ok(route)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="it is about SQLite's planner")
@pytest.mark.parametrize("query", [{}, {"sort": "-host"}, {"sort": "name"}, {"sort": "-state"}, {"q": "x"}])
def test_page_of_thousands_of_programs_reads_rows_in_their_order(
    reader: Reader, three: list[Host], query: dict[str, Any]
) -> None:
    """Sorting them all would mean to read them all."""
    FollowedProgram.objects.bulk_create(
        [
            FollowedProgram(
                host=host, program_id=id, name=f"p{id}", enabled=True, state="running", document={"id": id}
            )
            for host in three
            for id in range(10, 2000)
        ]
    )
    first = reader.ok("fleet/programs", limit=100, **query)
    for page in ({}, {"cursor": first["next"]} if first["next"] else {}):
        with CaptureQueriesContext(connection) as queries:
            reader.ok("fleet/programs", limit=100, **query, **page)
        (sql,) = [each["sql"] for each in queries if '"fleet_followedprogram"' in each["sql"]]
        with connection.cursor() as cursor:
            plan = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
        assert not any(step == "USE TEMP B-TREE FOR ORDER BY" for step in plan), plan


@pytest.mark.parametrize("route", [*ROUTES, "fleet/events/stream"])
def test_reading_takes_the_permissions_to_see_hosts_and_what_they_run(route: str) -> None:
    needed = {"view_host", "view_program", *(["view_event"] if "events" in route else [])}
    for lacking in needed:
        sentence = "You do not have the permission to do this"
        assert Reader(*needed - {lacking}).refused(route, 403) == sentence
    code = Reader(*needed).get(route).status_code
    assert code == (503 if route.endswith("stream") else 200)  # streams are the stack's server's


@pytest.mark.parametrize("route", ROUTES)
def test_routes_answer_without_hosts(reader: Reader, route: str) -> None:
    answer = reader.ok(route)
    assert answer["success"] is True
    assert answer["hosts"] == []
