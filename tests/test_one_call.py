"""Lists cost one call to supervisord and the same few queries, however many programs there are."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from daemon_programs.models import Program
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.processes import tree
from tests.processes import started
from tests.stack import Api, Stack

SORTED = "programs?sort=-cpu&limit=1"
LISTS = ("programs", "programs?include_status=true", "programs?include_stats=true", "status")


@pytest.fixture
def calls(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The calls to the running stack's supervisord, as they are made by this process' own gateway."""
    made: list[str] = []
    real = supervisor._call

    def counted(method: str, *arguments: str) -> Any:
        made.append(method)
        return real(method, *arguments)

    monkeypatch.setattr(supervisor, "_socket_path", str(stack.folder / "supervisor.sock"))
    monkeypatch.setattr(supervisor, "_call", counted)
    yield made
    supervisor._disconnect()


def make_programs(count: int) -> None:
    """Rows only: what supervisord runs is not of interest here."""
    Program.objects.bulk_create(
        Program(
            name=f"{number}",
            command="true",
            user="root",
            port_start=number * 10 + 1000 if number % 10 == 0 else None,
            port_end=number * 10 + 1009 if number % 10 == 0 else None,
            numprocs=3 if number % 10 == 5 else 1,
        )
        for number in range(Program.objects.count(), count)
    )


def cost(client: Client, route: str, calls: list[str]) -> tuple[list[str], int, int]:
    calls.clear()
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"/api/v1/daemon/{route}")
    assert answer.status_code == 200, answer.content
    document = answer.json()
    return list(calls), len(queries), len(document.get("programs") or document["statuses"])


@pytest.mark.django_db
@pytest.mark.parametrize("route", LISTS)
def test_list_makes_one_call_however_many_programs(
    admin_client: Client, calls: list[str], route: str
) -> None:
    make_programs(3)
    few, queries_of_few, length = cost(admin_client, route, calls)
    assert few == ([] if route == "programs" else ["states"])
    assert length == 3
    make_programs(200)
    many, queries_of_many, length = cost(admin_client, route, calls)
    assert length == 200
    assert (many, queries_of_many) == (few, queries_of_few)


@pytest.mark.django_db
def test_single_status_makes_one_call(admin_client: Client, calls: list[str]) -> None:
    make_programs(1)
    answer = admin_client.get(f"/api/v1/daemon/status/{Program.objects.get().pk}")
    assert answer.status_code == 200
    assert calls == ["state"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "route", [*(f"api/v1/daemon/{route}" for route in (*LISTS, f"{SORTED}&include_stats=true")), "metrics"]
)
def test_list_sweeps_over_the_process_table_once_at_most(
    admin_client: Client, api: Api, calls: list[str], monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    ids = [api.add("sleep 1000") for _ in range(2)]
    for id in ids:
        started(api, id)
    Program.objects.bulk_create(Program(pk=id, name=f"own {id}", command="true", user="root") for id in ids)
    make_programs(5)
    sweeps: list[int] = []
    processes = tree.processes
    monkeypatch.setattr(tree, "processes", lambda: sweeps.append(1) or processes())
    answer = admin_client.get(f"/{route}")
    assert answer.status_code == 200, answer.content
    assert calls == ([] if route.endswith("/programs") else ["states"])
    assert len(sweeps) == (1 if "stats" in route or route == "metrics" else 0)
