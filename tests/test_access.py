"""Access control: tokens, sessions, groups, and the Host header (docs/contract.md, section 1)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.stack import OWN_USER, Api, Stack

READING = (
    *("programs", "programs/{}", "programs/{}/logs", "logs", "status", "status/{}", "machine"),
    *("fleet/programs", "fleet/status", "fleet/usage", "fleet/logs"),
)
CHANGING = (
    "programs/add",
    "programs/edit/{}",
    "programs/remove/{}",
    "programs/reset",
    "programs/apply",
    "programs/batch",
    "programs/{}/enable",
    "programs/{}/disable",
    "programs/{}/start",
    "programs/{}/stop",
    "programs/{}/restart",
    "programs/{}/signal",
    "programs/{}/reload",
    "programs/{}/input",
)
VERBS = [*(("get", route) for route in READING), *(("post", route) for route in CHANGING)]
PROTECTED = pytest.mark.parametrize(("method", "route"), VERBS)

MAKE_USERS = """
from django.contrib.auth.models import Group, Permission, User
from hoody_site.access.models import ApiToken
for name, groups, permissions in [
    ("viewer", ["viewers"], []), ("operator", ["operators"], []), ("none", [], []),
    ("starter", [], ["view_program", "operate_program"]),
    ("looker", [], ["view_program"]),
    ("blind", [], ["operate_program", "change_program", "add_program", "delete_program"]),
    ("inactive", ["operators"], []),
]:
    user = User.objects.create_user(name, is_active=name != "inactive")
    user.groups.set(Group.objects.filter(name__in=groups))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    print("token", name, ApiToken.issue(user, "test"))
"""
FORGET_USERS = """
from django.contrib.auth.models import User
User.objects.exclude(username="admin").delete()
"""


@pytest.fixture(scope="module")
def users(stack: Stack) -> Iterator[dict[str, Api]]:
    """Clients of users with different permissions, by the users' names."""
    made = stack.manage("shell", "-v", "0", "-c", FORGET_USERS + MAKE_USERS)
    tokens = re.findall(r"^token (\w+) (\S+)$", made.stdout, re.M)
    assert len(tokens) == 7, made.stderr
    yield {name: stack.client(token) for name, token in tokens}
    assert stack.manage("shell", "-v", "0", "-c", FORGET_USERS).returncode == 0


def send(client: Api, method: str, route: str, id: int, **options: Any) -> requests.Response:
    if (method, route) == ("post", "programs/batch"):
        options.setdefault("json", {"action": "start", "select": {"ids": [id]}})
    return client.session.request(method, f"{client.base}/{route.format(id)}", timeout=60, **options)


def refused(answer: requests.Response, code: int) -> str:
    assert answer.status_code == code, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    content = answer.json()
    assert content["success"] is False
    return str(content["error"])


@PROTECTED
def test_without_a_token_is_401(api: Api, stack: Stack, method: str, route: str) -> None:
    id = api.add()
    answer = send(stack.client(None), method, route, id)
    assert refused(answer, 401) == "Authentication is required: send Authorization: Bearer <token>"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.word(id) == "stopped"


@PROTECTED
def test_bad_token_is_401(api: Api, stack: Stack, method: str, route: str) -> None:
    id = api.add()
    answer = send(stack.client(stack.token[:-1]), method, route, id)
    assert refused(answer, 401) == "The API token is not valid"
    assert api.word(id) == "stopped"


@pytest.mark.parametrize("route", [route for route in CHANGING if route != "programs/apply"])
def test_viewer_may_change_nothing(api: Api, users: dict[str, Api], route: str) -> None:
    id = api.add()
    before = api.get("programs", include_status="true").text
    answer = send(users["viewer"], "post", route, id)
    assert refused(answer, 403) == "You do not have the permission to do this"
    assert api.get("programs", include_status="true").text == before


@pytest.mark.parametrize("route", READING)
def test_viewer_may_read(api: Api, users: dict[str, Api], route: str) -> None:
    id = api.add()
    seen, real = send(users["viewer"], "get", route, id).json(), send(api, "get", route, id).json()
    if route == "machine":  # whose figures change all the time
        assert seen["machine"].keys() == real["machine"].keys()
    else:
        assert seen == real


def test_events_have_a_permission_of_their_own(api: Api, users: dict[str, Api]) -> None:
    """The lists contain temporary programs too."""
    id = api.add()
    for route in ("events", "events/stream", f"programs/{id}/events", "fleet/events", "fleet/events/stream"):
        assert users["looker"].get(route).status_code == 403
    for route in ("events", f"programs/{id}/events"):
        assert users["viewer"].get(route).status_code == 200


@PROTECTED
def test_user_without_permissions_may_do_nothing(
    api: Api, users: dict[str, Api], method: str, route: str
) -> None:
    refused(send(users["none"], method, route, api.add()), 403)


@PROTECTED
def test_inactive_user_is_401(api: Api, users: dict[str, Api], method: str, route: str) -> None:
    assert refused(send(users["inactive"], method, route, api.add()), 401) == "The API token is not valid"


@PROTECTED
def test_change_permission_without_view_permission_is_not_enough(
    api: Api, users: dict[str, Api], method: str, route: str
) -> None:
    refused(send(users["blind"], method, route, api.add()), 403)


def test_operator_may_do_everything_with_programs(users: dict[str, Api]) -> None:
    operator = users["operator"]
    id = operator.add()
    for verb in ("start", "restart", "stop", "disable", "enable"):
        operator.ok(f"programs/{id}/{verb}")
    operator.ok(f"programs/edit/{id}", {"description": "edited"})
    assert operator.get(f"programs/{id}").json()["program"]["description"] == "edited"
    assert operator.word(id) == "stopped"
    operator.ok(f"programs/remove/{id}")


def test_a_plan_is_shown_to_viewers_and_made_by_those_who_may_do_what_it_does(
    api: Api, users: dict[str, Api]
) -> None:
    program = {"name": "planned", "command": "true", "user": OWN_USER}
    adding = {"programs": [program], "set": "plan"}
    viewer, starter = users["viewer"], users["starter"]
    assert viewer.ok("programs/apply", {**adding, "dry_run": True})["counts"]["create"] == 1
    for client in (viewer, starter):
        sentence = "You do not have the permission to create programs"
        assert client.refused("programs/apply", adding, 403) == sentence
    users["operator"].ok("programs/apply", adding)
    assert viewer.ok("programs/apply", adding)["counts"]["unchanged"] == 1  # which needs none
    sentence = "You do not have the permission to wait for programs"
    assert viewer.refused("programs/apply", {**adding, "wait": True}, 403) == sentence
    assert starter.ok("programs/apply", {**adding, "wait": True})["counts"]["unchanged"] == 1
    both = {"programs": [{**program, "name": "other"}], "set": "plan", "prune": True}
    sentence = "You do not have the permission to create and remove programs"
    assert viewer.refused("programs/apply", both, 403) == sentence
    changing = {**adding, "programs": [{**program, "boot": True}]}
    sentence = "You do not have the permission to change programs"
    assert viewer.refused("programs/apply", changing, 403) == sentence
    assert [each["name"] for each in api.get("programs").json()["programs"] if "set" in each] == ["planned"]


def test_permission_to_operate_is_not_one_to_change(api: Api, users: dict[str, Api]) -> None:
    id = api.add()
    starter = users["starter"]
    for verb in ("start", "restart", "stop"):
        starter.ok(f"programs/{id}/{verb}")
    for route in (f"edit/{id}", f"remove/{id}", f"{id}/enable", f"{id}/disable", "add"):
        starter.refused(f"programs/{route}", {}, 403)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("Basic YWRtaW46YWRtaW4=", "The Authorization header must be: Bearer <token>"),
        ("Bearer", "The API token is not valid"),
        ("Bearer x y", "The API token is not valid"),
        ("Bearer \xff", "The API token is not valid"),
    ],
)
def test_other_authorization_is_401(stack: Stack, header: str, sentence: str) -> None:
    client = stack.client(None)
    answer = send(client, "get", "programs", 0, headers={"Authorization": header.encode("latin-1")})
    assert refused(answer, 401) == sentence


def test_scheme_is_taken_in_any_letter_case(stack: Stack) -> None:
    headers = {"Authorization": f"bEaReR {stack.token}"}
    assert send(stack.client(None), "get", "programs", 0, headers=headers).status_code == 200


@pytest.mark.parametrize("token", [None, "wrong"])
def test_health_answers_without_a_token_and_with_a_bad_one(stack: Stack, token: str | None) -> None:
    assert stack.client(token).get("health").json()["status"] == "ok"
    assert stack.client(token).get("ready").status_code in (200, 503)  # it may have started just now


def test_unknown_host_is_refused(api: Api) -> None:
    sentence = "Host 'evil.example:99' is not allowed: add its name to DAEMON_ALLOWED_HOSTS"
    for route in ("health", "programs", "../../../admin/", "../../../nothing"):
        answer = send(api, "get", route, 0, headers={"Host": "evil.example:99"})
        assert refused(answer, 400) == sentence
        assert answer.json()["code"] == "host_not_allowed"
    assert send(api, "get", "health", 0, headers={"Host": "localhost"}).status_code == 200


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
@pytest.mark.parametrize("route", [*READING, *CHANGING, "health", "ready"])
def test_only_get_head_and_post_are_methods(api: Api, method: str, route: str) -> None:
    answer = send(api, method, route, api.add())
    assert refused(answer, 405) == f"Method {method.upper()} is not allowed here"
    assert answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "route",
    [
        *READING, "health", "ready", "quick-start", "events", "programs/{}/events", "programs/{}/deliveries",
        "../../../metrics", "../../../", "../../schema/", "../../docs/",
    ],
)  # fmt: skip
def test_head_works_where_get_works(api: Api, route: str) -> None:
    id = api.add()
    got, head = send(api, "get", route, id), send(api, "head", route, id)
    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert (
        send(api, "head", route, id, params={"nothing": ""}).status_code
        == send(api, "get", route, id, params={"nothing": ""}).status_code
    )


def test_head_works_on_the_login_page(stack: Stack) -> None:
    head = stack.browser().head(f"{stack.url}/admin/login/", timeout=60)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("route", [*READING, "events", "events/stream", "programs/{}/logs/stream"])
def test_head_needs_the_permissions_of_get(api: Api, users: dict[str, Api], stack: Stack, route: str) -> None:
    id = api.add()
    for client, code in ((stack.client(None), 401), (users["none"], 403), (users["inactive"], 401)):
        assert send(client, "head", route, id).status_code == code
    assert send(users["viewer"], "head", route, id).status_code == 200


@pytest.mark.parametrize("route", ["events/stream", "programs/{}/logs/stream"])
def test_head_of_a_stream_opens_none(api: Api, route: str) -> None:
    head = send(api, "head", route, api.add())
    assert head.status_code == 200
    assert head.headers["Content-Type"] == "text/event-stream"
    assert "daemon_streams_open 0.0" in send(api, "get", "../../../metrics", 0).text


@pytest.mark.parametrize("route", [*READING, "health"])
def test_reading_is_not_posted(api: Api, route: str) -> None:
    assert refused(send(api, "post", route, api.add()), 405) == "Method POST is not allowed here"


@pytest.mark.parametrize("route", [route for route in CHANGING if route.count("/") > 1 or "add" in route])
def test_changing_is_not_got(api: Api, route: str) -> None:
    assert refused(send(api, "get", route, api.add()), 405) == "Method GET is not allowed here"


@pytest.mark.parametrize(
    "path",
    ["programs/", "nothing", "programs/1/nothing", "../daemon", "status/1/2", "../../../x", "../../../api"],
)
def test_unknown_address_is_a_404_in_json(api: Api, path: str) -> None:
    answer = send(api, "get", path, 0)
    assert refused(answer, 404) == "There is nothing at this address"
    assert answer.json()["code"] == "not_found"


# Sessions


@pytest.fixture(scope="module")
def browser(stack: Stack) -> requests.Session:
    """Logged in as the administrator of the first start, with the password that it has shown."""
    found = re.search(r"Log in +admin / (\S+)", stack.output.read_text())
    assert found
    session = stack.browser()
    page = session.get(f"{stack.url}/admin/login/", timeout=60)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    form = {"username": "admin", "password": found[1], "csrfmiddlewaretoken": token[1], "next": "/"}
    answer = session.post(f"{stack.url}/admin/login/", form, allow_redirects=False, timeout=60)
    assert answer.status_code == 302, answer.text
    return session


def csrf(browser: requests.Session, stack: Stack) -> dict[str, str]:
    return {"X-CSRFToken": browser.cookies[f"hoody_csrf_{stack.port}"]}


def test_session_may_read(browser: requests.Session, api: Api) -> None:
    assert browser.get(f"{api.base}/status", timeout=60).json() == api.get("status").json()


@pytest.mark.parametrize("route", CHANGING)
def test_session_without_csrf_token_may_change_nothing(
    browser: requests.Session, api: Api, route: str
) -> None:
    id = api.add()
    answer = browser.post(f"{api.base}/{route.format(id)}", json={}, timeout=60)
    assert refused(answer, 403).startswith("CSRF Failed")
    assert api.word(id) == "stopped"


def test_session_with_csrf_token_may_change(browser: requests.Session, api: Api, stack: Stack) -> None:
    url = f"{api.base}/programs/{api.add()}/start"
    answer = browser.post(url, json={}, headers=csrf(browser, stack), timeout=60)
    assert answer.json() == {"success": True}


def test_cookies_of_a_session_are_not_for_scripts(browser: requests.Session, stack: Stack) -> None:
    cookie = next(each for each in browser.cookies if each.name == f"hoody_session_{stack.port}")
    assert cookie.has_nonstandard_attr("HttpOnly")


def test_token_needs_no_csrf(api: Api) -> None:
    api.ok("programs/add", {"name": "by token", "command": "true", "user": OWN_USER})
