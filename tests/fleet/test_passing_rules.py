"""What holds without a stack: how many requests may be passed on, and how long calls are kept."""

import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError
from django.http import Http404
from rest_framework.exceptions import MethodNotAllowed

from daemon_programs.exceptions import NotPermitted, TooManyWaits
from daemon_programs.supervisor.changes import Changes
from fleet.exceptions import HostNotFound, NotADaemon
from fleet.models import HostCall
from fleet.passing import forwarding, history, room, routes, upstream
from fleet.passing.room import Room


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Room:
    """Room for four requests that wait, two of them of the same host."""
    monkeypatch.setattr(room, "changes", Changes(tmp_path / "changes.sock", 4))
    return Room(2)


def test_a_host_that_does_not_answer_leaves_room_for_others(few: Room) -> None:
    with ExitStack() as held:
        held.enter_context(few.taken("web-1"))
        with few.taken("web-1"):
            with pytest.raises(TooManyWaits, match="wait for host 'web-1' already"), few.taken("web-1"):
                pass
            held.enter_context(few.taken("web-2"))
        with few.taken("web-1"):  # there is room again
            pass


def test_requests_to_hosts_share_the_places_of_those_that_wait(few: Room) -> None:
    with ExitStack() as held:
        for name in ("a", "b", "c"):
            held.enter_context(few.taken(name))
        with room.changes.watch("program-1"):
            with pytest.raises(TooManyWaits, match="Too many requests are waiting"), few.taken("d"):
                pass
            with pytest.raises(TooManyWaits), room.changes.watch("program-2"):
                pass
        held.enter_context(few.taken("d"))
    assert not few._by_host


def user(*permissions: str) -> Any:
    return SimpleNamespace(has_perms=lambda needed: set(needed) <= set(permissions))


def test_routes_are_those_of_this_daemon() -> None:
    found = routes.find("programs/1/logs/stream", "GET")
    assert (found.path, found.action, found.is_stream) == (
        "/api/v1/daemon/programs/1/logs/stream", "log_stream", True,
    )  # fmt: skip
    assert routes.find("programs", "HEAD").action == "list"
    assert routes.find("ready", "GET").permissions(user(), {}) == []
    with pytest.raises(MethodNotAllowed):
        routes.find("ready", "POST")
    for route in (
        "hosts/x/api/v1/daemon/programs",
        "fleet/calls",
        "nothing",
        "programs/1\n",
        "",
        "/programs",
    ):
        with pytest.raises(Http404):
            routes.find(route, "GET")


def test_an_action_without_permissions_is_passed_on_for_nobody() -> None:
    found = routes.find("programs", "GET")
    with pytest.raises(NotPermitted):
        found._replace(action="unlisted").permissions(SimpleNamespace(has_perms=lambda needed: True), {})


@pytest.mark.django_db
def test_calls_are_kept_as_long_as_events(settings: Any) -> None:
    calls = [history.record("alice" * 100, "web-1", "POST", "/x" * 1000) for _ in range(5)]
    assert (len(calls[0].user), len(calls[0].path)) == (150, 500)
    old = datetime.now(UTC) - timedelta(days=settings.EVENTS_DAYS, minutes=1)
    HostCall.objects.filter(pk=calls[2].pk).update(at=old)
    assert history.purge() == 1
    settings.EVENTS_MOST = 3
    assert history.purge() == 1
    assert set(HostCall.objects.values_list("pk", flat=True)) == {calls[each].pk for each in (1, 3, 4)}


@pytest.mark.django_db
def test_a_database_that_fails_afterwards_fails_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    call = history.record("alice", "web-1", "POST", "/api/v1/daemon/programs/1/start")
    assert "code" not in history.call_document(call)
    history.complete(call, 500, "a\0b" + "x" * 2000)
    assert HostCall.objects.get(pk=call.pk).error == "ab" + "x" * 998

    def fail(*args: Any, **options: Any) -> None:
        raise DatabaseError("locked")

    monkeypatch.setattr(HostCall.objects, "filter", fail)
    history.complete(call, 200)


def test_users_of_a_hub_share_no_keys_on_a_host() -> None:
    def asked(name: str, key: str) -> str:
        request: Any = SimpleNamespace(user=SimpleNamespace(get_username=lambda: name))
        return forwarding._path_for(request, routes.find(f"requests/{key}", "GET"))

    paths = [asked("alice", "k-1"), asked("bob", "k-1"), asked("alice", "k-2"), asked("alice", "k.~1")]
    paths.append(asked("alice", ".."))
    assert len(set(paths)) == 5
    assert all(re.fullmatch("/api/v1/daemon/requests/[0-9a-f]{64}", path) for path in paths)
    assert asked("alice", "k-1") == paths[0]
    assert not routes.find("status/1", "GET").key


def test_what_a_host_says_of_a_key_is_told_of_the_users_own() -> None:
    host: Any = SimpleNamespace(name="web-1")
    request: Any = SimpleNamespace(method="GET", accepted_renderer=SimpleNamespace(format="json"))

    def told(content: bytes) -> Any:
        said: Any = SimpleNamespace(
            status=200, headers={}, read=lambda most: content[:most], close=lambda: None
        )
        answer: Any = forwarding._passed_on(request, host, said, ExitStack(), {"key": "k-1"})
        return answer.data

    assert told(b'{"key": "0a1b", "state": "unknown"}') == {"key": "k-1", "state": "unknown"}
    assert told(b'{"error": "No"}') == {"error": "No"}


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"Content-Length": "12"}, 12),
        ({"Content-Length": "0"}, 0),
        ({}, None),
        ({"Content-Length": "9" * 5000}, None),
        ({"Content-Length": "1, 1"}, None),
        ({"Content-Length": "12", "Transfer-Encoding": "chunked"}, None),
    ],
)
def test_a_length_is_believed_only_where_it_ends_the_body(
    headers: dict[str, str], length: int | None
) -> None:
    said: Any = SimpleNamespace(headers=headers)
    assert forwarding._length_of(said) == length


@pytest.mark.parametrize("status", [199, 302, 600, 999])
def test_a_status_that_no_daemon_answers_with_is_not_passed_on(status: int) -> None:
    host: Any = SimpleNamespace(name="web-1")
    headers = {"Content-Type": "application/json"}
    said: Any = SimpleNamespace(status=status, headers=headers, close=lambda: None)
    with pytest.raises(NotADaemon, match=str(status)):
        upstream._checked(host, upstream.Call("GET", "/api/v1/daemon/status", "", {}), said)


def test_a_name_that_no_database_takes_is_that_of_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding.Host.objects, "filter", None)
    request: Any = SimpleNamespace(
        method="GET", user=user("daemon_programs.view_program"), META={}, headers={}
    )
    with pytest.raises(HostNotFound):
        forwarding.pass_on(request, "web\0", "status", [])
