"""Hosts at the admin: the list, the form with a token that is only typed, invitations, the calls."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from fleet.models import FollowedProgram, Host, HostCall, Invitation, Link
from tests.admin_client import AdminClient, errors_of, messages_of, text_of
from tests.stack import Api, Stack, free_port

HOSTS = "fleet/host/"
INVITATIONS = "fleet/invitation/"
CALLS = "fleet/hostcall/"
NOT_WITHOUT_IT = (
    "Field 'token' is required to change 'url' or 'ca', since the one that is stored is not sent elsewhere"
)
PATHS = {
    "view": (HOSTS, f"{HOSTS}{{id}}/change/"),
    "add": (f"{HOSTS}add/",),
    "delete": (f"{HOSTS}{{id}}/delete/",),
}


@pytest.fixture
def hub(stack: Stack) -> Iterator[Api]:
    """The administrator's client of a hub, which is left without hosts."""
    yield stack.api
    for host in stack.api.get("hosts").json()["hosts"]:
        stack.api.ok(f"hosts/remove/{host['name']}")


def fill_in(boss: AdminClient, path: str, **fields: Any) -> requests.Response:
    """Fill in the form of a host or an invitation, and return the page that follows."""
    id = f"{path.split('/')[1]}_form"
    return boss.post(path, {**boss.form(path, id), **fields}, follow=True)


def page_of(boss: AdminClient, name: str) -> str:
    """The address of a host's page."""
    found = re.search(rf'/(\d+)/change/">{name}<', boss.page(HOSTS))
    assert found, name
    return f"{HOSTS}{found[1]}/change/"


def test_a_host_is_added_and_asked_at_once(hub: Api, stack: Stack, boss: AdminClient) -> None:
    fields = {"name": "web-1", "url": f"{stack.url}/", "token": stack.token, "labels": '{"site": "fra"}'}
    page = fill_in(boss, f"{HOSTS}add/", **fields)
    assert re.search(r"“web-1” has answered within \d+ ms", " ".join(messages_of(page)))
    host = hub.get("hosts/web-1").json()["host"]
    assert (host["url"], host["labels"], host["added_by"]) == (stack.url, {"site": "fra"}, "boss")
    assert hub.ok("hosts/web-1/check")["problem"] is None
    form = boss.page(page_of(boss, "web-1"))
    assert stack.token not in form + page.text + boss.page(HOSTS) + boss.page(page_of(boss, "web-1"))
    assert re.search(r'<input type="password" name="token"(?![^>]*value)', form)
    assert 'name="name"' not in form
    history = boss.page(page_of(boss, "web-1").replace("change", "history"))
    assert stack.token not in history


def test_a_host_that_does_not_answer_is_saved_with_a_warning(hub: Api, boss: AdminClient) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    page = fill_in(boss, f"{HOSTS}add/", name="web-1", url=url, token="hdt_secret")
    assert "“web-1”: Host 'web-1' can't be reached: Connection refused" in " ".join(messages_of(page))
    assert hub.get("hosts/web-1").status_code == 200


def test_the_form_has_the_rules_of_the_api(hub: Api, stack: Stack, boss: AdminClient) -> None:
    path = f"{HOSTS}add/"
    assert "Field 'token' is required" in errors_of(fill_in(boss, path, name="a", url=stack.url))
    wrong = errors_of(fill_in(boss, path, name="Web", url="x", ca="x", token="a b"))
    for field in ("name", "url", "ca"):
        assert any(f"Field '{field}' must" in sentence for sentence in wrong)
    (sentence,) = errors_of(fill_in(boss, path, name="a", url=stack.url, token="a b"))
    assert sentence == "Field 'token' must be an API token: at most 500 characters, without blanks"
    fill_in(boss, path, name="web-1", url=stack.url, token=stack.token)
    page = page_of(boss, "web-1")
    assert "was changed" in " ".join(messages_of(fill_in(boss, page, notes="new")))
    other = f"http://localhost:{stack.port}"
    assert NOT_WITHOUT_IT in errors_of(fill_in(boss, page, url=other))
    assert hub.get("hosts/web-1").json()["host"]["url"] == stack.url
    fill_in(boss, page, url=other, token=stack.token)
    host = hub.get("hosts/web-1").json()["host"]
    assert (host["url"], host["notes"]) == (other, "new")
    assert hub.ok("hosts/web-1/check")["problem"] is None


def test_the_action_asks_the_chosen_hosts(hub: Api, stack: Stack, boss: AdminClient) -> None:
    for name, token in (("web-1", stack.token), ("web-2", "hdt_wrong")):
        hub.ok("hosts/add", {"name": name, "url": stack.url, "token": token, "check": False})
    ids = [page_of(boss, name).split("/")[2] for name in ("web-1", "web-2")]
    page = boss.post(HOSTS, {"action": "ask", "_selected_action": ids}, follow=True)
    said = " ".join(messages_of(page))
    assert "“web-1” has answered within" in said
    assert f"“web-2”: The daemon at {stack.url} does not accept the token" in said


def test_a_code_is_shown_once_and_can_be_withdrawn(hub: Api, stack: Stack, boss: AdminClient) -> None:
    page = fill_in(boss, f"{INVITATIONS}add/", name="web-1", labels='{"site": "fra"}', hours="24")
    (code,) = set(re.findall(r"hdi_[\w-]{20,}", page.text))
    assert "The code, shown this once" in " ".join(messages_of(page))
    listed = boss.page(INVITATIONS)
    assert "in 23 hours" in listed
    assert code not in listed
    (id,) = re.findall(r"/invitation/(\d+)/change/", listed)
    shown = boss.page(f"{INVITATIONS}{id}/change/")
    assert code not in shown
    assert not re.search(r"[0-9a-f]{64}", shown)
    boss.post(f"{INVITATIONS}{id}/delete/", {"post": "yes"})
    sent = {"code": code, "url": stack.url, "token": stack.token}
    assert stack.client(None).post("hosts/join", sent).status_code == 403
    (sentence,) = errors_of(fill_in(boss, f"{INVITATIONS}add/", hours="25"))
    assert sentence == "Ensure this value is less than or equal to 24."


# Who may what, and what was heard: against Django itself


@pytest.fixture
def person(client: Client) -> Any:
    """Return a function that logs a user with these permissions in."""

    def log_in(*codenames: str) -> Client:
        user, _ = User.objects.get_or_create(username="-".join(codenames) or "nobody", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)
        return client

    return log_in


def cells_of(response: Any) -> str:
    """Return a page as text, with a blank after each cell."""
    return text_of(re.sub("</t[dhr]>", " ", response.content.decode()))


def make(name: str = "web-1") -> Host:
    host = Host(name=name, url="http://127.0.0.1:1")
    host.token = "hdt_secret"
    host.save()
    return host


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ((), set()),
        (("add_host", "change_host", "delete_host", "operate_host"), set()),
        (("view_host",), {"view"}),
        (("view_host", "add_host"), {"view", "add"}),
        (("view_host", "delete_host"), {"view", "delete"}),
    ],
)
def test_each_page_has_its_permissions(person: Any, permissions: tuple[str, ...], allowed: set[str]) -> None:
    host, client = make(), person(*permissions)
    for verb, paths in PATHS.items():
        for path in paths:
            code = client.get(f"/admin/{path.format(id=host.pk)}").status_code
            assert code == (200 if verb in allowed else 403), path
    page = client.get(f"/admin/{HOSTS}{host.pk}/change/")
    assert b'name="token"' not in page.content
    assert b'value="ask"' not in client.get(f"/admin/{HOSTS}").content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("{id}/delete/", {"post": "yes"}),
        ("", {"action": "delete_selected", "_selected_action": "{id}", "post": "yes"}),
    ],
)
def test_a_host_is_removed_with_what_was_heard_of_it(person: Any, path: str, body: dict[str, str]) -> None:
    host = make()
    Link.objects.create(host=host, state="current")
    FollowedProgram.objects.create(
        host=host, program_id=1, name="shop", enabled=True, state="running", document={}
    )
    client = person("view_host", "delete_host")
    sent = {name: value.format(id=host.pk) for name, value in body.items()}
    address = f"/admin/{HOSTS}{path.format(id=host.pk)}"
    asked = client.post(address, {name: value for name, value in sent.items() if name != "post"})
    assert b"web-1" in asked.content
    assert b"shop" not in asked.content
    assert client.post(address, sent).status_code == 302
    assert not Host.objects.exists()
    assert not FollowedProgram.objects.exists()


@pytest.mark.django_db
def test_invitations_take_the_permission_to_add_hosts(person: Any) -> None:
    make()
    path = f"/admin/{INVITATIONS}add/"
    assert person("view_invitation", "add_invitation").get(path).status_code == 403
    client = person("view_invitation", "add_invitation", "add_host")
    body = {"name": "web-1", "labels": "{}", "hours": "1"}
    assert client.post(path, body).status_code == 403, "it would replace a host"
    assert not Invitation.objects.exists()
    assert client.post(path, {**body, "name": "web-2"}).status_code == 302
    client = person("view_invitation", "add_invitation", "add_host", "change_host")
    assert client.post(path, body).status_code == 302
    assert [each.replaces for each in Invitation.objects.order_by("id")] == [False, True]
    assert {each.made_by for each in Invitation.objects.all()} == {
        "view_invitation-add_invitation-add_host",
        "view_invitation-add_invitation-add_host-change_host",
    }
    assert not LogEntry.objects.filter(change_message__contains="hdi_").exists()


@pytest.mark.django_db
def test_the_list_shows_how_it_stands_with_each_host(admin_client: Client) -> None:
    make("new")
    lost = make("lost")
    ago = timezone.now() - timedelta(seconds=200)
    Link.objects.create(host=lost, state="lost", error="It is away", heard_at=ago, version="1.0.0")
    Host.objects.filter(pk=make("torn").pk).update(sealed_token="x")
    page = cells_of(admin_client.get(f"/admin/{HOSTS}"))
    assert "lost http://127.0.0.1:1 lost 3 minutes ago 1.0.0 It is away" in page
    assert "new http://127.0.0.1:1 new never" in page
    assert "The token was encrypted with another key" in page
    for state, names in (("lost", {"lost"}), ("new", {"new", "torn"}), ("current", set())):
        shown = admin_client.get(f"/admin/{HOSTS}", {"state": state}).context["cl"].result_list
        assert {host.name for host in shown} == names


@pytest.mark.django_db
def test_the_history_of_calls_can_only_be_read(admin_client: Client) -> None:
    call = HostCall.objects.create(
        user="alice", host="web-1", method="POST", path="programs/1/start", code=200
    )
    page = cells_of(admin_client.get(f"/admin/{CALLS}", {"q": "alice"}))
    assert "alice web-1 POST programs/1/start 200" in page
    assert admin_client.get(f"/admin/{CALLS}{call.pk}/change/").status_code == 200
    for path in (f"{CALLS}add/", f"{CALLS}{call.pk}/delete/"):
        assert admin_client.get(f"/admin/{path}").status_code == 403
