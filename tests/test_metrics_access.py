"""Who may scrape, and what it costs; in this process, with its own database."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from daemon_programs.models import Program
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.webhooks import deliveries
from hoody_site.access.models import ApiToken
from tests import database
from tests.metrics_client import PROMETHEUS, Scrape
from tests.stack import Stack

pytestmark = pytest.mark.django_db


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


def bearer(*permissions: str) -> Client:
    """A client with the token of a user who has just these permissions."""
    user = User.objects.create_user("scraper")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return Client(headers={"Authorization": f"Bearer {ApiToken.issue(user, 'prometheus')}"})


def refusal(answer: Any, code: int) -> str:
    assert answer.status_code == code
    assert answer.headers["Content-Type"].startswith("application/json")
    document = answer.json()
    assert document["success"] is False
    return str(document["error"])


def read(client: Client) -> Scrape:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.content
    return Scrape(answer.content.decode())


# Access


def test_permission_to_view_programs_is_enough() -> None:
    assert read(bearer("view_program")).value("daemon_queue_tasks") == 0


def test_without_a_token_is_401(client: Client) -> None:
    answer = client.get("/metrics")
    assert refusal(answer, 401) == "Authentication is required: send Authorization: Bearer <token>"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_bad_token_is_401() -> None:
    answer = Client(headers={"Authorization": "Bearer hdt_no"}).get("/metrics")
    assert refusal(answer, 401) == "The API token is not valid"


@pytest.mark.parametrize("accept", ["*/*", "text/html", PROMETHEUS])
def test_without_the_permission_is_403_as_json(accept: str) -> None:
    client = bearer("view_ephemeralprogram", "operate_program")
    answer = client.get("/metrics", headers={"Accept": accept})
    assert refusal(answer, 403) == "You do not have the permission to do this"


def test_session_will_do(admin_client: Client) -> None:
    read(admin_client)


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_it_is_only_read(admin_client: Client, method: str) -> None:
    answer = getattr(admin_client, method)("/metrics")
    assert answer.status_code == 405


def test_what_goes_wrong_before_the_view_is_json_too(admin_client: Client) -> None:
    refusal(admin_client.get("/metrics", headers={"Host": "elsewhere.example"}), 400)
    refusal(admin_client.get("/metrics/"), 404)


def test_open_metrics_need_nothing(client: Client, settings: Any) -> None:
    settings.METRICS_OPEN = True
    read(client)
    # nor does what was sent along matter
    read(Client(headers={"Authorization": "Bearer hdt_no"}))
    read(Client(headers={"Authorization": "Basic whatever"}))


def test_open_metrics_open_nothing_else(client: Client, settings: Any) -> None:
    settings.METRICS_OPEN = True
    refusal(client.get("/api/v1/daemon/programs"), 401)
    refusal(client.get("/api/v1/daemon/status"), 401)


def test_start_page_leads_there(client: Client) -> None:
    assert client.get("/", headers={"Accept": "application/json"}).json()["metrics"].endswith("/metrics")


# Cost


def cost(client: Client, calls: list[str]) -> tuple[list[str], int, Scrape]:
    calls.clear()
    with CaptureQueriesContext(connection) as queries:
        found = read(client)
    return list(calls), len(queries), found


def make_programs(count: int) -> None:
    """Rows only: supervisord doesn't have them."""
    Program.objects.bulk_create(
        Program(name=f"row {number}", command="true", user="root", enabled=number % 2 == 0)
        for number in range(Program.objects.count(), count)
    )


def test_scrape_makes_one_call_however_many_programs(admin_client: Client, calls: list[str]) -> None:
    make_programs(3)
    few, queries_of_few, _ = cost(admin_client, calls)
    assert few == ["states"]
    make_programs(300)
    many, queries_of_many, found = cost(admin_client, calls)
    assert (many, queries_of_many) == (few, queries_of_few)
    assert len(found.by("id", "daemon_program_up")) == 300


# The values


def test_enabled_program_that_supervisord_does_not_have_is_unknown(
    admin_client: Client, calls: list[str]
) -> None:
    make_programs(7)
    states = read(admin_client).by("state", "daemon_programs")
    assert (states["unknown"], states["stopped"]) == (4, 3)
    assert sum(states.values()) == 7


def test_any_text_in_a_name_is_escaped(admin_client: Client, calls: list[str]) -> None:
    """Whatever may get into the database, by whatever way: it can't break out of a label."""
    names = ['"} 1\ndaemon_evil 1\n#', "\\", '\\"', "a\nb", "\r\n", "\\n", "\t"]
    if not database.POSTGRES:  # which takes no NUL
        names.append("\t\x00")
    Program.objects.bulk_create(Program(name=name, command="true", user="root") for name in names)
    found = read(admin_client)
    assert set(found.by("name", "daemon_program_up")) == set(names)
    assert found.value("daemon_evil") is None


def test_program_that_is_just_being_given_ports_breaks_nothing(
    admin_client: Client, stack: Stack, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a change is carried out, supervisord reports the processes as they were before."""
    program = Program(name="ports", command="true", user="root", port_start=9000, port_end=9001)
    Program.objects.bulk_create([program])
    running = {"state": "running", "started_at": 1.0}
    state = {"changing": True, "processes": {program.group: running}}
    document = {"pid": 1, "stack": {}, "programs": {program.group: state}, "unclaimed": []}
    monkeypatch.setattr(supervisor, "states", lambda: document)
    found = read(admin_client)
    assert found.by("state", "daemon_programs")["running"] == 1
    assert found.value("daemon_program_up", id=program.pk, name="ports", port="") == 1


def test_webhook_outcomes_are_counted(admin_client: Client) -> None:
    before = read(admin_client).by("outcome", "daemon_webhook_attempts_total")
    assert before == dict.fromkeys(deliveries.OUTCOMES, 0)
    deliveries.add_to_count(deliveries.DELIVERED, 2)
    deliveries.add_to_count(deliveries.FAILED, 1)
    found = read(admin_client)
    after = found.by("outcome", "daemon_webhook_attempts_total")
    assert after == {**before, deliveries.DELIVERED: 2, deliveries.FAILED: 1}
    assert found.value("daemon_webhook_deliveries_pending") == 0


def test_tasks_in_the_queue_are_counted(admin_client: Client) -> None:
    from django_q.tasks import async_task

    async_task("daemon_programs.tasks.purge_events")
    assert read(admin_client).value("daemon_queue_tasks") == 1
