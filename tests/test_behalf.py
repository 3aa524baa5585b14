"""``On-Behalf-Of``: the person that a user asks for, in the history and nowhere else."""

from types import SimpleNamespace
from urllib.parse import quote

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import RequestFactory

from daemon_programs import actors
from daemon_programs.supervisor import events
from tests.stack import Api, Stack, eventually


def actor_of(value: str, user: object = None, path: str = "/api/v1/daemon/programs") -> str:
    """The actor of a request with this header."""
    seen = []
    request = RequestFactory().post(path, headers={actors.BEHALF_HEADER: value})
    request.user = user or SimpleNamespace(get_username=lambda: "hub", is_authenticated=True)

    def view(request: HttpRequest) -> object:
        seen.append(actors.current())
        return None

    actors.ActorMiddleware(view)(request)  # type: ignore[arg-type]
    return seen[0]


@pytest.mark.parametrize(
    ("value", "actor"),
    [
        ("alice", "api:hub for alice"),
        ("", "api:hub"),
        ("%20%0A", "api:hub"),
        ("ali%C3%A7e%40b+c", "api:hub for aliçe@b+c"),
        ("admin:boss", "api:hub for admin:boss"),
        ("boss%0D%0Aapi%3Aroot", "api:hub for bossapi:root"),
        ("a%E2%80%AEb%00%1B[2Jc", "api:hub for ab[2Jc"),
        ("x" * 1000, "api:" + ("hub for " + "x" * 1000)[:150]),
        ("%FF%", "api:hub for \ufffd%"),
    ],
)
def test_the_person_stands_behind_the_user_in_one_line(value: str, actor: str) -> None:
    assert actor_of(value) == actor


def test_no_one_speaks_for_a_person_without_a_user_or_in_the_admin() -> None:
    assert actor_of("alice", AnonymousUser()) == "api:"
    assert actor_of("alice", path="/admin/daemon_programs/program/") == "admin:hub"


def test_long_names_of_users_are_never_cut() -> None:
    long = SimpleNamespace(get_username=lambda: "u" * 150, is_authenticated=True)
    assert actor_of("alice", long) == "api:" + "u" * 150


def test_a_request_has_the_person_in_the_history_and_no_rights_of_theirs(api: Api, stack: Stack) -> None:
    forged = "root: x\u2028\n" + "y" * 1000
    id = api.add()
    headers = {actors.BEHALF_HEADER: quote(forged)}
    assert api.post(f"programs/{id}/start", {}, headers=headers).ok
    recorded = eventually(lambda: api.get(f"programs/{id}/events").json()["events"])[-1]
    assert recorded["by"] == "api"
    assert recorded["user"] == ("admin for root: x" + "y" * 1000)[:150]
    stranger = stack.client(None).post(f"programs/{id}/stop", {}, headers={actors.BEHALF_HEADER: "admin"})
    assert stranger.status_code == 401


def test_what_follows_a_colon_is_the_user() -> None:
    entry = {"number": 1, "group": "program-1", "process": "program-1", "name": "web", "from": "stopped",
             "state": "starting", "at": 0.0, "by": "api:hub for a:b"}  # fmt: skip
    change = events.read(entry)
    assert isinstance(change, events.StateChange)
    assert change.by.partition(":")[2] == "hub for a:b"
