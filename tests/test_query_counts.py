"""How often each route queries the database: each route has a line here."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from daemon_programs.models import Delivery, Event, Program
from daemon_programs.supervisor.gateway import supervisor
from fleet.models import Host, Rollout
from hoody_site.access.models import ApiToken
from quick_start.models import EphemeralProgram
from tests.database import on_embedded

LONE = {"command": "true", "user": "root"}
PART = {"state": "running", "pid": 1, "seconds": 100.0, "restarted": False}
STACK = {"listener": PART, "scheduler": PART, "prober": PART, "api": PART}
URL = "https://93.184.215.14/"
pytestmark = on_embedded  # with others, a change takes a lock as well
# By the name of the route and the method: the queries, savepoints included, and the body. One query is the
# look-up of the token. The user is a superuser, who needs no look-up of permissions.
COUNTS: dict[tuple[str, str], tuple[int, Any]] = {
    ("health", "get"): (0, None),
    ("ready", "get"): (1, None),
    ("metrics", "get"): (7, None),
    ("programs", "get"): (2, None),
    ("program", "get"): (2, None),
    ("program-logs", "get"): (2, None),
    ("program-log-stream", "get"): (2, None),
    ("program-events", "get"): (3, None),
    ("program-deliveries", "get"): (3, None),
    ("logs", "get"): (2, None),
    ("logs-stream", "get"): (2, None),
    ("events", "get"): (2, None),
    ("event-stream", "get"): (2, None),
    ("statuses", "get"): (2, None),
    ("status", "get"): (2, None),
    ("program-add", "post"): (6, {"name": "b", **LONE}),
    ("program-edit", "post"): (9, {"description": "another"}),
    ("program-remove", "post"): (8, {}),
    ("programs-batch", "post"): (2, {"action": "stop", "select": {"all": True}}),
    ("programs-reset", "post"): (14, {}),
    ("programs-apply", "post"): (13, {"programs": [{"name": "b", **LONE}]}),
    ("program-enable", "post"): (8, {}),
    ("program-disable", "post"): (8, {}),
    ("program-start", "post"): (2, {"wait": True}),
    ("program-stop", "post"): (2, {}),
    ("program-restart", "post"): (2, {}),
    ("program-signal", "post"): (2, {"signal": "HUP"}),
    ("program-reload", "post"): (2, {}),
    ("program-input", "post"): (2, {"text": "x"}),
    ("delivery-redeliver", "post"): (7, {}),
    ("webhook-secret-rotate", "post"): (11, {}),
    ("machine", "get"): (1, None),
    ("hosts", "get"): (3, None),
    ("host", "get"): (3, None),
    ("host-add", "post"): (7, {"name": "web-2", "url": "http://127.0.0.1:1", "token": "x", "check": False}),
    ("host-edit", "post"): (9, {"notes": "rack 7"}),
    ("host-remove", "post"): (12, {}),
    ("host-check", "post"): (2, {}),
    ("host-invite", "post"): (6, {}),
    ("host-join", "post"): (1, {"code": "x", "name": "web-2", "url": "http://127.0.0.1:1", "token": "x"}),
    ("host-route", "get"): (2, None),
    ("host-route", "post"): (4, {}),
    ("host-calls", "get"): (2, None),
    ("fleet-quick-start", "post"): (2, {**LONE, "hosts": {"names": ["web-1"]}}),
    ("fleet-programs", "get"): (3, None),
    ("fleet-status", "get"): (3, None),
    ("fleet-events", "get"): (3, None),
    ("fleet-event-stream", "get"): (3, None),
    ("fleet-usage", "get"): (3, None),
    ("fleet-logs", "get"): (3, None),
    ("quick-start", "get"): (2, None),
    ("quick-start", "post"): (7, LONE),
    ("launch-status", "get"): (2, None),
    ("launch-logs", "get"): (2, None),
    ("launch-log-stream", "get"): (2, None),
    ("launch-input", "post"): (3, {"text": "x"}),
    ("launch-stop", "post"): (7, {}),
    ("request", "get"): (2, None),
    ("fleet-apply", "post"): (17, {"hosts": {"all": True}, "programs": [], "paused": True}),
    ("fleet-batch", "post"): (
        17,
        {"hosts": {"all": True}, "action": "stop", "select": {"all": True}, "paused": True},
    ),
    ("rollouts", "get"): (3, None),
    ("rollout", "get"): (4, None),
    ("rollout-pause", "post"): (17, {}),
    ("rollout-resume", "post"): (20, {}),
    ("rollout-cancel", "post"): (19, {}),
    ("rollout-rollback", "post"): (24, {}),
}
_METHODS = {"host-join": ["post"]}  # of views that are functions
# What is answered without a host that could be asked, or without a valid code.
ANSWERS = {"host-route": 502, "fleet-quick-start": 409, "host-join": 403}


class FakeSupervisord:
    """Answers as a supervisord in which each program runs and has done what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, method: str, *arguments: Any) -> Any:
        self.calls.append(method)
        if method == "states":
            return {
                "boot": "b", "number": 1, "at": 0.0, "pid": 1, "programs": {}, "names": [],
                "orphans": {}, "stack": STACK, "unclaimed": [], "is_ending": False,
            }  # fmt: skip
        if method in ("remove", "write_input", "recorded"):
            return None
        group = str(arguments[0])
        if method == "reload":
            return {"reloads": {group: 1}}
        reload = {"requested": 1, "done": 1, "error": None}
        run = {"state": "running", "pid": 2**22 + 1, "started_at": 1.0, "reload": reload}
        return {"changing": False, "digest": "", "processes": {group: run}, "over": False, "cut_short": None}


def routes() -> dict[tuple[str, str], URLPattern]:
    """Each route of the API by its name and method."""
    found = {}
    for above in get_resolver().url_patterns:
        if str(above.pattern).startswith(("api/v1", "metrics")):
            for pattern in above.url_patterns if isinstance(above, URLResolver) else [above]:
                for method in getattr(pattern.callback, "actions", _METHODS.get(str(pattern.name), ["get"])):
                    if method != "head":
                        found[str(pattern.name), method] = pattern
    return found


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> FakeSupervisord:
    made = FakeSupervisord()
    for name in ("PROGRAMS_FOLDER", "BACKUPS_FOLDER"):
        setattr(settings, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    settings.DEFAULT_PROGRAMS_FILE = tmp_path / "programs.default.json"
    settings.DEFAULT_PROGRAMS_FILE.write_text('{"programs": [], "metadata": {}}')
    monkeypatch.setattr(supervisor, "_call", made)
    return made


def test_each_route_has_a_line() -> None:
    assert routes().keys() == COUNTS.keys()


@pytest.fixture
def ids() -> dict[str, Any]:
    """A program, a delivery of it and a temporary program: rows only."""
    (program,) = Program.objects.bulk_create(
        [Program(name="a", **LONE, stdin="pipe", reload={"signal": "HUP"}, webhooks={"urls": [URL]})]
    )
    now = timezone.now()
    event = Event.objects.create(
        at=now, group=program.group, name="a", from_state="stopped", state="starting", by="api"
    )
    delivery = Delivery.objects.create(
        event=event, program_id=program.pk, url=URL, webhook_id="w", state=Delivery.FAILED, queued_at=now
    )
    temporary = EphemeralProgram(name="t", **LONE, stdin="pipe")
    temporary.assign_identity()
    EphemeralProgram.objects.bulk_create([temporary])
    host = Host(name="web-1", url="http://127.0.0.1:1")
    host.token = "hdt_x"
    host.save()
    rollout = Rollout.objects.create(kind="apply", body={"programs": []}, user="boss", state="paused")
    return {
        "id": program.pk,
        "delivery_id": delivery.pk,
        "temporary": temporary.temporary_id,
        "rollout": rollout.pk,
    }


@pytest.mark.django_db
@pytest.mark.parametrize(("route", "method"), sorted(routes()))
def test_route_asks_the_database_as_often_as_ever(
    fake: FakeSupervisord, ids: dict[str, Any], route: str, method: str
) -> None:
    token = ApiToken.issue(User.objects.create_superuser("boss"), "test")
    client = Client(headers={"Authorization": f"Bearer {token}"})
    count, body = COUNTS[route, method]
    wanted = routes()[route, method].pattern.converters
    kind = "temporary" if route.startswith("launch") else "rollout" if "rollout" in route else "id"
    about = {"id": ids[kind], "delivery_id": ids["delivery_id"], "key": "a", "name": "web-1"}
    about["route"] = "programs" if method == "get" else f"programs/{ids['id']}/stop"
    url = reverse(route, kwargs={name: value for name, value in about.items() if name in wanted})
    with CaptureQueriesContext(connection) as queries:
        answer = client.generic(method.upper(), url, json.dumps(body), content_type="application/json")
    # Streams are only served by the stack's own server, which is found out last.
    assert answer.status_code == (503 if route.endswith("-stream") else ANSWERS.get(route, 200)), (
        answer.content
    )
    assert len(queries) == count, [each["sql"][:100] for each in queries.captured_queries]


# The list of the admin and its parts: a session and its user take two. Each makes one call to supervisord.
ADMIN_COUNTS = {"changelist": 16, "rows": 16, "ids": 14}


@pytest.mark.django_db
@pytest.mark.parametrize("page", ADMIN_COUNTS)
def test_list_of_the_admin_asks_as_often_for_three_programs_as_for_150(
    fake: FakeSupervisord, client: Client, page: str
) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    counts = []
    for first in (0, 3):
        Program.objects.bulk_create(
            [Program(name=f"{number}", labels={"a": "b"}, **LONE) for number in range(first, 50 * first + 3)]
        )
        address = reverse(f"admin:daemon_programs_program_{page}")
        query = {"id": Program.objects.values_list("pk", flat=True)[:100]} if page == "rows" else {}
        fake.calls.clear()
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address, query).status_code == 200
        assert fake.calls == ["states"]
        counts.append(len(queries))
    assert counts == [ADMIN_COUNTS[page]] * 2, [each["sql"][:100] for each in queries.captured_queries]


# The parts of a program's page that are asked for again and again. Two queries are the session and its user.
PAGE_COUNTS = {"live": 10, "processes": 3, "instances": 3}


@pytest.mark.django_db
@pytest.mark.parametrize("part", PAGE_COUNTS)
def test_parts_of_a_page_ask_as_often_however_many_programs(
    fake: FakeSupervisord, ids: dict[str, Any], settings: Any, part: str
) -> None:
    settings.SESSION_HOSTS = ["testserver"]
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    url = reverse(f"admin:daemon_programs_program_{part}", args=[ids["id"]])
    client.get(url)  # looks up the content type
    Program.objects.bulk_create([Program(name=f"other {number}", **LONE) for number in range(50)])
    fake.calls.clear()
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(url)
    assert answer.status_code == 200
    assert fake.calls == ["state"]
    assert len(queries) == PAGE_COUNTS[part], [each["sql"][:100] for each in queries.captured_queries]


@pytest.mark.django_db
def test_lists_of_records_cost_as_much_however_many_there_are(fake: FakeSupervisord) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    counts = []
    for _ in range(2):
        for number in range(15):
            temporary = EphemeralProgram(name=f"{number}", **LONE)
            temporary.assign_identity()
            EphemeralProgram.objects.bulk_create([temporary])
            Event.objects.create(
                at=timezone.now(),
                group=temporary.group,
                name="t",
                from_state="stopped",
                state="starting",
                by="x",
            )
        fake.calls.clear()
        with CaptureQueriesContext(connection) as queries:
            for page in ("quick_start_ephemeralprogram_rows", "daemon_programs_event_rows"):
                assert client.get(reverse(f"admin:{page}")).status_code == 200
        counts.append((len(queries), fake.calls[:]))
    assert counts[0] == counts[1]
    assert counts[0][1] == ["states"]
