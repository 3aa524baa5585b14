"""One-time codes with which hosts add themselves: over the API, and with the command of the host."""

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from daemon_programs.exceptions import NotPermitted, Refused
from fleet.client import Answer
from fleet.exceptions import HostUnreachable, InviterNotPermitted, NoConnection
from fleet.joining import introduce
from fleet.models import Host, Invitation
from fleet.registry import invitations
from hoody_site.access.attempts import Attempts
from hoody_site.access.failures import FailureLog
from hoody_site.api import joining
from tests import database
from tests.fleet import hubs
from tests.stack import PROJECT, Api, Stack, free_port

NOT_VALID = {"success": False, "error": "The code is not valid", "code": "code_not_valid"}
TOO_MANY = "Too many failed attempts from this address; try again later"
FORGET_USER = "from django.contrib.auth.models import User; User.objects.filter(username='hub').delete()"


@pytest.fixture
def hub(stack: Stack) -> Iterator[Api]:
    """The administrator's client of a hub, which is left without hosts."""
    yield stack.api
    for name in listed(stack.api):
        stack.api.ok(f"hosts/remove/{name}")
    with database.opened(stack.folder) as opened:
        opened.execute("DELETE FROM fleet_invitation")


@pytest.fixture
def without_user(stack: Stack) -> Iterator[None]:
    """Leave the host without the user of hubs."""
    yield
    hubs.run(stack, FORGET_USER)


def invite(api: Api, **values: Any) -> str:
    return str(api.ok("hosts/invite", values)["code"])


def sent(stack: Stack, code: str, **values: Any) -> requests.Response:
    """What a host sends; it is the hub itself."""
    given = {"code": code, "url": stack.url, "token": stack.token, **values}
    return stack.client(None).post("hosts/join", given)


def refusal(response: requests.Response) -> dict[str, list[str]]:
    assert response.status_code == 400, response.text
    return response.json()["errors"]  # type: ignore[no-any-return]


def listed(api: Api) -> dict[str, dict[str, Any]]:
    return {host["name"]: host for host in api.get("hosts").json()["hosts"]}


# Over the API


def test_a_code_adds_a_host_once(hub: Api, stack: Stack) -> None:
    answer = hub.ok("hosts/invite", {"name": "web-1", "labels": {"site": "fra"}, "ttl": 60})
    assert re.fullmatch(r"hdi_[\w-]{32}", answer["code"])
    assert answer["name"] == "web-1"
    response = sent(stack, answer["code"])
    assert (response.status_code, response.json()) == (200, {"success": True, "name": "web-1"})
    host = listed(hub)["web-1"]
    assert (host["url"], host["labels"], host["added_by"]) == (stack.url, {"site": "fra"}, "admin")
    again = sent(stack, answer["code"], name="web-1")
    assert (again.status_code, again.json()) == (403, NOT_VALID)
    assert hubs.rows(stack, "SELECT * FROM fleet_invitation") == []


def test_of_requests_with_one_code_at_the_same_time_one_succeeds(hub: Api, stack: Stack) -> None:
    code = invite(hub)
    with ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(lambda n: sent(stack, code, name=f"web-{n}", check=False).status_code, range(8))
        )
    assert sorted(codes) == [200, *[403] * 7]
    assert len(listed(hub)) == 1


def test_what_fails_does_not_use_the_code_up(hub: Api, stack: Stack) -> None:
    code = invite(hub)
    away = f"http://127.0.0.1:{free_port()}"
    assert refusal(sent(stack, code)) == {
        "name": ["Field 'name' is required, since the code is for any host"]
    }
    assert list(refusal(sent(stack, code, name="a", url=away))) == ["url"]
    assert list(refusal(sent(stack, code, name="a", token="hdt_wrong"))) == ["token"]
    assert list(refusal(sent(stack, code, name="A", ca="x"))) == ["name", "ca"]
    assert listed(hub) == {}
    assert sent(stack, code, name="a").status_code == 200


def test_a_code_is_for_the_host_that_it_names(hub: Api, stack: Stack) -> None:
    code = invite(hub, name="web-1")
    assert refusal(sent(stack, code, name="web-2")) == {
        "name": ["Field 'name' must be 'web-1', which the code is for"]
    }
    assert sent(stack, code, name="web-1").status_code == 200


def test_a_new_code_for_a_host_replaces_its_address_and_token(hub: Api, stack: Stack) -> None:
    given = {"name": "web-1", "url": stack.url, "token": "hdt_old", "notes": "kept", "labels": {"a": "b"}}
    early, any_host = invite(hub, name="web-1"), invite(hub)
    hub.ok("hosts/add", {**given, "check": False})
    for code in (early, any_host):  # which were made when there was no such host
        assert refusal(sent(stack, code, name="web-1")) == {
            "name": ["Field 'name' must be free: to replace 'web-1' takes a new code"]
        }
    assert sent(stack, invite(hub, name="web-1")).status_code == 200
    host = listed(hub)["web-1"]
    assert (host["notes"], host["labels"]) == ("kept", {"a": "b"})
    assert hub.ok("hosts/web-1/check")["problem"] is None


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ttl": 59}, "Field 'ttl' must be between 60 and 86400"),
        ({"ttl": 86401}, "Field 'ttl' must be between 60 and 86400"),
        ({"name": "add"}, "Field 'name' must not be one of these words: add, edit, invite, join, remove"),
        ({"labels": {"a b": ""}}, "Field 'labels' has a key that is not allowed"),
        ({"nme": "a"}, "Unknown field 'nme'"),
    ],
)
def test_invitations_that_are_refused(hub: Api, values: dict[str, Any], sentence: str) -> None:
    assert hub.refused("hosts/invite", values).startswith(sentence)


def test_joining_takes_no_query_and_no_other_fields(stack: Stack) -> None:
    no_one = stack.client(None)
    assert no_one.refused("hosts/join?code=x", {}) == "Unknown query parameter 'code'"
    assert no_one.refused("hosts/join", {"x": 1}) == "Unknown field 'x'"
    assert no_one.get("hosts/join").status_code == 405


@pytest.mark.django_db
def test_wrong_codes_are_limited_and_keep_nobody_out_who_has_one(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(joining, "attempts", Attempts())
    monkeypatch.setattr(joining, "failure_log", FailureLog())

    def posted(code: str) -> Any:
        given = {"code": code, "name": "web-1", "url": "http://web-1", "token": "hdt_secret", "check": False}
        return client.post("/api/v1/daemon/hosts/join", given, content_type="application/json")

    of_no_user = Invitation.issue(timezone.now() + timedelta(minutes=1), made_by="gone")
    sentence = "The user that made the code is none of this hub"
    assert posted(of_no_user).json() == {"success": False, "error": sentence, "code": "permission_denied"}
    for _ in range(10):
        assert posted("hdi_wrong").json() == NOT_VALID
    refused = posted("hdi_wrong")
    assert (refused.status_code, refused.json()["error"]) == (429, TOO_MANY)
    assert 0 < int(refused["Retry-After"]) <= 300
    User.objects.create_superuser("boss")
    code = Invitation.issue(timezone.now() + timedelta(minutes=1), made_by="boss")
    assert posted(code).json() == {"success": True, "name": "web-1"}
    assert posted(code).json() == NOT_VALID, "the limit begins again"
    assert "1 codes of hosts that are not valid; the latest from 127.0.0.1" in caplog.text
    assert "The host 'web-1' has joined" in caplog.text
    assert not any(text in caplog.text for text in ("hdi_", "hdt_"))


# Rules


@pytest.mark.django_db
def test_expired_codes_are_not_valid_and_go_with_the_next_one() -> None:
    code = Invitation.issue(timezone.now() - timedelta(seconds=1))
    with pytest.raises(invitations.CodeNotValid):
        invitations.join({"code": code, "name": "a", "url": "http://a", "token": "t", "ca": ""}, check=False)
    values = {"name": None, "labels": {}, "ttl": 60}
    invitation, code = invitations.invite(values, user="alice", may_change=False)
    assert list(Invitation.objects.all()) == [invitation]
    assert code not in str(vars(invitation))


@pytest.mark.django_db
def test_to_replace_a_host_takes_the_permission_to_change_hosts() -> None:
    host = Host(name="a", url="http://a")
    host.token = "t"
    host.save()
    values = {"name": "a", "labels": {}, "ttl": 60}
    with pytest.raises(NotPermitted):
        invitations.invite(values, user="alice", may_change=False)
    invitation, _ = invitations.invite(values, user="alice", may_change=True)
    assert invitation.replaces


@pytest.mark.django_db
def test_code_is_worth_what_its_maker_may_do() -> None:
    maker = User.objects.create_user("maker")
    known = Host(name="known", url="http://known")
    known.token = "t"
    known.save()

    def refused(*permissions: str, name: str = "new", is_active: bool = True) -> str:
        maker.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        User.objects.update(is_active=is_active)
        values = {"name": name, "labels": {}, "ttl": 60}
        _, code = invitations.invite(values, user="maker", may_change=True)
        sent = {"code": code, "name": name, "url": "http://a", "token": "t", "ca": ""}
        try:
            invitations.join(sent, check=False)
        except InviterNotPermitted as problem:
            assert Invitation.valid(code).exists(), "it is not used up"
            return str(problem)
        return ""

    begin = "The user that made the code"
    assert refused() == f"{begin} may not add hosts any more"
    assert refused("add_host", is_active=False) == f"{begin} is not active any more"
    assert refused("add_host", name="known") == f"{begin} may not change hosts any more"
    assert refused("add_host", "change_host", name="known") == ""
    assert refused("add_host") == ""
    User.objects.update(username="another")
    assert refused(name="other") == f"{begin} is none of this hub"


# The host's side


def join(stack: Stack, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a host, with the code on its standard input."""
    command = ["join_hub", "--hub", stack.url, "--url", stack.url, "--code-stdin", *options]
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=PROJECT,
        env=stack.env,
        input=f"{code}\n",
        capture_output=True,
        text=True,
        timeout=60,
    )


def tokens(stack: Stack) -> list[str]:
    """The tokens of hubs, as digests."""
    found = hubs.rows(
        stack,
        "SELECT t.digest, t.name FROM hoody_site_apitoken t JOIN auth_user u ON u.id = t.user_id"
        " WHERE u.username = 'hub'",
    )
    assert {row["name"] for row in found} <= {f"hub 127.0.0.1:{stack.port}"}
    return [row["digest"] for row in found]


def test_the_command_makes_a_user_and_a_token_for_the_hub(hub: Api, without_user: None, stack: Stack) -> None:
    done = join(stack, invite(hub, name="web-1"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"This host is 'web-1' at {stack.url} now. Its token there is that of the user 'hub'.\n"
    )
    assert hub.ok("hosts/web-1/check")["problem"] is None
    made = hubs.run(
        stack,
        "from django.contrib.auth.models import User; user = User.objects.get(username='hub');"
        "print(user.is_staff, user.is_superuser, user.has_usable_password());"
        "print(*user.groups.values_list('name'))",
    )
    assert made == "False False False\n('operators',)\n"
    first = tokens(stack)
    assert join(stack, invite(hub, name="web-1"), "--name", "web-1").returncode == 0
    second = tokens(stack)
    assert (len(first), len(second)) == (1, 1), "the one that the hub had is revoked"
    assert first != second
    assert hub.ok("hosts/web-1/check")["problem"] is None

    refused = join(stack, "hdi_wrong")
    assert refused.returncode == 1
    assert refused.stderr == "CommandError: The hub has refused: The code is not valid\n"
    assert tokens(stack) == second, "the new one is revoked, and the one in use stays"


def test_the_code_may_be_in_a_file_and_the_hub_away(hub: Api, without_user: None, stack: Stack) -> None:
    file = stack.folder.parent / "code"
    file.write_text(f"{invite(hub)}\n")
    port = free_port()
    options = ["--url", stack.url, "--name", "web-1", "--code-file", str(file)]
    away = stack.manage("join_hub", "--hub", f"http://127.0.0.1:{port}", *options)
    assert (
        away.stderr
        == f"CommandError: The hub 'http://127.0.0.1:{port}' can't be reached: Connection refused\n"
    )
    assert tokens(stack) == []
    there = stack.manage("join_hub", "--hub", f"{stack.url}/", *options)
    assert there.returncode == 0, there.stderr
    assert list(listed(hub)) == ["web-1"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(200, None), "What answers at http://hub is not a hub"),
        (Answer(200, {}), "What answers at http://hub is not a hub"),
        (Answer(502, None), "The hub has refused: The host has answered with the status 502"),
    ],
)
def test_what_answers_may_be_no_hub(monkeypatch: pytest.MonkeyPatch, answer: Answer, sentence: str) -> None:
    monkeypatch.setattr("fleet.client.call", lambda *given, **more: answer)
    with pytest.raises(Refused, match=f"^{re.escape(sentence)}$"):
        introduce("http://hub", {})


def test_a_lost_answer_is_not_taken_for_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*given: Any, **more: Any) -> Answer:
        raise HostUnreachable("Host 'http://hub' can't be reached: Read timed out")

    monkeypatch.setattr("fleet.client.call", lose)
    with pytest.raises(HostUnreachable) as problem:
        introduce("http://hub", {})
    assert not isinstance(problem.value, NoConnection)
    assert str(problem.value) == (
        "The hub 'http://hub' can't be reached: Read timed out. Look at the hub whether it has this host now"
    )


@pytest.mark.parametrize("option", ["--hub", "--url"])
def test_addresses_are_checked_before_anything_is_made(stack: Stack, option: str) -> None:
    options = {"--hub": stack.url, "--url": stack.url, option: "web-1"}
    words = [word for pair in options.items() for word in pair]
    done = stack.manage("join_hub", *words, "--code-file", "/nothing")
    sentence = "must be an address such as https://web-1.example.com:8000"
    assert done.stderr == f"CommandError: {option} {sentence}\n"
    assert tokens(stack) == []


def test_a_person_named_hub_is_no_user_for_hubs(hub: Api, without_user: None, stack: Stack) -> None:
    hubs.run(
        stack,
        "from django.contrib.auth.models import User; User.objects.create_user('hub', password='its-own')",
    )
    done = join(stack, invite(hub, name="web-1"))
    assert done.stderr == (
        "CommandError: The user 'hub' logs in with a password: rename it, hubs need a user of their own\n"
    )
    assert listed(hub) == {}
