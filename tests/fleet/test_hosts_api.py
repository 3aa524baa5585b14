"""The register of hosts over the API: added, listed, changed, asked, removed; tokens are never shown."""

import json
import re
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import trustme

from hoody_daemon import __version__
from tests.drills.clients import check_documented
from tests.fleet import hubs
from tests.stack import Api, Stack, free_port
from tests.test_access import FORGET_USERS

NOT_WITHOUT_IT = (
    "Field 'token' is required to change 'url' or 'ca', since the one that is stored is not sent elsewhere"
)
MAKE_USERS = """
from django.contrib.auth.models import Group, Permission, User
from hoody_site.access.models import ApiToken
for name, groups, permissions in [
    ("viewer", ["viewers"], []), ("operator", ["operators"], []), ("looker", [], ["view_host"]),
    ("adder", [], ["view_host", "add_host"]), ("changer", [], ["view_host", "change_host"]),
    ("remover", [], ["view_host", "delete_host"]),
    ("blind", [], ["add_host", "change_host", "delete_host", "operate_host"]),
]:
    user = User.objects.create_user(name)
    user.groups.set(Group.objects.filter(name__in=groups))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    print("token", name, ApiToken.issue(user, "test"))
"""


@pytest.fixture(scope="module")
def users(stack: Stack) -> Iterator[dict[str, Api]]:
    """Clients of users with different permissions, by the users' names."""
    made = hubs.run(stack, FORGET_USERS + MAKE_USERS)
    tokens = re.findall(r"^token (\w+) (\S+)$", made, re.M)
    yield {name: stack.client(token) for name, token in tokens}
    hubs.run(stack, FORGET_USERS)


@pytest.fixture
def hub(stack: Stack) -> Iterator[Api]:
    """The administrator's client. The hosts that the test has added are removed after it."""
    yield stack.api
    for host in stack.api.get("hosts").json()["hosts"]:
        stack.api.ok(f"hosts/remove/{host['name']}")


def body(stack: Stack, name: str = "web-1", **fields: Any) -> dict[str, Any]:
    return {"name": name, "url": stack.url, "token": stack.token, **fields}


def errors(api: Api, route: str, sent: dict[str, Any]) -> dict[str, list[str]]:
    response = api.post(route, sent)
    assert response.status_code == 400, response.text
    answer = response.json()
    assert answer["error"] == next(iter(answer["errors"].values()))[0]
    return answer["errors"]  # type: ignore[no-any-return]


def names(api: Api, **query: Any) -> list[str]:
    response = api.get("hosts", **query)
    assert response.status_code == 200, response.text
    return [host["name"] for host in response.json()["hosts"]]


def test_a_stack_without_hosts_has_an_empty_list(hub: Api) -> None:
    assert hub.get("hosts").json() == {"success": True, "hosts": []}


def test_a_host_that_was_added_is_shown_with_all_but_its_token(hub: Api, stack: Stack) -> None:
    answer = hub.ok("hosts/add", body(stack, url=f"{stack.url}/", labels={"site": "fra"}, notes="rack 7"))
    host = answer["host"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", host.pop("added_at"))
    assert host == {
        "name": "web-1",
        "url": stack.url,
        "ca": "",
        "labels": {"site": "fra"},
        "notes": "rack 7",
        "state": host["state"],
        "since": host["since"],
        "heard_at": host["heard_at"],
        "age_seconds": host["age_seconds"],
        "version": host["version"],
        "error": None,
        "added_by": "admin",
        "programs": host["programs"],
    }
    shown = hub.get("hosts/web-1")
    check_documented("getHost", shown)
    listed = hub.get("hosts")
    check_documented("listHosts", listed)
    assert "ca" not in listed.json()["hosts"][0]
    (row,) = hubs.rows(stack, "SELECT * FROM fleet_host")
    for text in (json.dumps(answer), shown.text, listed.text, json.dumps(row, default=str)):
        assert stack.token not in text
    assert row["sealed_token"].startswith("gAAAA")
    assert row["sealed_token"] not in shown.text


def test_hosts_are_found_by_labels_state_and_text_and_come_in_pages(hub: Api, stack: Stack) -> None:
    for name, labels in (("c", {"site": "fra"}), ("a", {"site": "fra", "tier": ""}), ("b", {"site": "ams"})):
        hub.ok("hosts/add", body(stack, name, check=False, labels=labels, notes=f"Rack {name.upper()}"))
    assert names(hub) == ["a", "b", "c"]
    assert names(hub, label="site=fra") == ["a", "c"]
    assert names(hub, label=["site", "tier"]) == ["a"]
    assert names(hub, q="rack B") == ["b"]
    assert names(hub, q=stack.url) == ["a", "b", "c"]
    first = hub.get("hosts", limit=2).json()
    assert [host["name"] for host in first["hosts"]] == ["a", "b"]
    last = hub.get("hosts", limit=2, cursor=first["next"]).json()
    assert ([host["name"] for host in last["hosts"]], last["next"]) == (["c"], None)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"state": "gone"}, "Query parameter 'state' must be one of: new, current, lost, refused"),
        ({"sort": "name"}, "Unknown query parameter 'sort'"),
        ({"user": "x"}, "Unknown query parameter 'user'"),
        ({"limit": "0"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        (
            {"cursor": "WyJpZCIsIDEsIDFd"},
            "Query parameter 'cursor' must be the 'next' of an answer with the same sort",
        ),
    ],
)
def test_queries_that_are_refused(hub: Api, query: dict[str, str], sentence: str) -> None:
    response = hub.get("hosts", **query)
    assert (response.status_code, response.json()["error"]) == (400, sentence)


def test_a_host_that_does_not_work_is_refused_with_the_field_that_is_wrong(hub: Api, stack: Stack) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    assert errors(hub, "hosts/add", body(stack, url=away)) == {
        "url": ["Host 'web-1' can't be reached: Connection refused"]
    }
    wrong = body(stack, token="hdt_wrong")
    sentence = f"The daemon at {stack.url} does not accept the token"
    assert errors(hub, "hosts/add", wrong) == {"token": [sentence]}
    assert names(hub) == []
    hub.ok("hosts/add", {**wrong, "check": False})
    found = hub.ok("hosts/web-1/check")
    assert (found["reachable"], found["token_accepted"], found["problem"]) == (True, False, sentence)


def test_the_rules_of_fields_are_those_of_the_model(hub: Api, stack: Stack) -> None:
    hub.ok("hosts/add", body(stack))
    wrong = body(stack, "Web", url="x", ca="x", labels={"a b": ""})
    assert set(errors(hub, "hosts/add", wrong)) == {"name", "url", "ca", "labels"}
    assert errors(hub, "hosts/add", body(stack)) == {"name": ["Field 'name' must be that of no other host"]}
    assert list(errors(hub, "hosts/add", body(stack, token="a b"))) == ["token"]
    assert errors(hub, "hosts/add", {"name": "a"}) == {
        field: [f"Field '{field}' is required and must be a non-empty string"] for field in ("url", "token")
    }
    assert errors(hub, "hosts/add", body(stack, nme="x")) == {"nme": ["Unknown field 'nme'"]}
    assert list(errors(hub, "hosts/edit/web-1", {"name": "web-2"})) == ["name"]
    unreadable = body(stack, "web-2", ca="\0")
    for route, host in (
        ("add", unreadable),
        ("join", {**unreadable, "code": "x"}),
        ("edit/web-1", {"ca": "\0"}),
    ):
        assert errors(hub, f"hosts/{route}", host) == {"ca": ["Field 'ca' must not contain NUL characters"]}


def test_an_edit_changes_what_is_given(hub: Api, stack: Stack) -> None:
    hub.ok("hosts/add", body(stack, labels={"a": "b"}))
    (before,) = hubs.rows(stack, "SELECT * FROM fleet_host")
    answer = hub.ok("hosts/edit/web-1", {"notes": "new", "url": f"{stack.url}/"})  # the same, as it is stored
    assert (answer["host"]["notes"], answer["host"]["labels"]) == ("new", {"a": "b"})
    (after,) = hubs.rows(stack, "SELECT * FROM fleet_host")
    assert after == {**before, "notes": "new"}


@pytest.mark.parametrize("field", ["url", "ca"])
def test_the_stored_token_goes_to_no_other_address(hub: Api, stack: Stack, field: str) -> None:
    hub.ok("hosts/add", body(stack))
    value = {"url": f"http://localhost:{stack.port}", "ca": trustme.CA().cert_pem.bytes().decode()}[field]
    sentence = NOT_WITHOUT_IT
    for more in ({}, {"check": False}):
        assert errors(hub, "hosts/edit/web-1", {field: value, **more}) == {"token": [sentence]}
    assert hub.get("hosts/web-1").json()["host"][field] != value
    answer = hub.ok("hosts/edit/web-1", {field: value, "token": stack.token})
    assert answer["host"][field] == value.rstrip("/")


def test_a_check_tells_the_version_of_a_host_that_is_well(hub: Api, stack: Stack) -> None:
    hub.ok("hosts/add", body(stack))
    found = hub.post("hosts/web-1/check")
    check_documented("checkHost", found)
    answer = found.json()
    assert answer.pop("milliseconds") >= 0
    assert answer == {
        "success": True,
        "reachable": True,
        "token_accepted": True,
        "version": __version__,
        "problem": None,
    }


def test_a_new_token_is_tried_before_it_is_stored(hub: Api, stack: Stack) -> None:
    hub.ok("hosts/add", body(stack))
    assert list(errors(hub, "hosts/edit/web-1", {"token": "hdt_wrong"})) == ["token"]
    assert hub.ok("hosts/web-1/check")["problem"] is None
    hub.ok("hosts/edit/web-1", {"token": "hdt_wrong", "check": False})
    assert hub.ok("hosts/web-1/check")["token_accepted"] is False


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("get", "hosts/nothing"),
        ("post", "hosts/edit/nothing"),
        ("post", "hosts/remove/nothing"),
        ("post", "hosts/nothing/check"),
    ],
)
def test_an_unknown_host_is_a_404(hub: Api, method: str, route: str) -> None:
    response = hub.session.request(
        method, f"{hub.base}/{route}", json={"nothing": 1} if method == "post" else None
    )
    assert response.status_code == 404, response.text
    assert response.json() == {"success": False, "error": "Host 'nothing' not found", "code": "not_found"}


def test_a_token_that_can_not_be_read_breaks_nothing(hub: Api, stack: Stack) -> None:
    hub.ok("hosts/add", body(stack))
    hub.ok("hosts/add", body(stack, "web-2"))
    hubs.run(
        stack, "from fleet.models import Host; Host.objects.filter(name='web-1').update(sealed_token='x')"
    )
    sentence = f"The token was encrypted with another key than that in {stack.folder}/hosts-key"
    shown = {host["name"]: host["error"] for host in hub.get("hosts").json()["hosts"]}
    assert (shown["web-1"], shown["web-2"]) == (sentence, None)
    assert hub.ok("hosts/web-1/check")["problem"] == sentence
    hub.ok("hosts/edit/web-1", {"notes": "still there"})
    hub.ok("hosts/edit/web-1", {"token": stack.token})
    assert hub.get("hosts/web-1").json()["host"]["error"] is None


MATRIX = {
    "hosts": ("get", {"viewer", "operator", "looker", "adder", "changer", "remover"}),
    "hosts/web-1": ("get", {"viewer", "operator", "looker", "adder", "changer", "remover"}),
    "hosts/add": ("post", {"adder"}),
    "hosts/edit/web-1": ("post", {"changer"}),
    "hosts/remove/web-1": ("post", {"remover"}),
    "hosts/web-1/check": ("post", {"operator"}),
    "hosts/invite": ("post", {"adder"}),
}


@pytest.mark.parametrize("route", MATRIX)
def test_each_route_has_its_permissions(hub: Api, stack: Stack, users: dict[str, Api], route: str) -> None:
    method, allowed = MATRIX[route]
    hub.ok("hosts/add", body(stack))
    wrong = {"no": 1} if method == "post" else None  # what is allowed changes nothing

    def code(client: Api) -> int:
        return client.session.request(method, f"{client.base}/{route}", json=wrong, timeout=60).status_code

    assert {name for name, client in users.items() if code(client) != 403} == allowed
    assert code(stack.client(None)) == 401


def test_a_certificate_that_is_not_trusted_is_told_of_as_the_ca(hub: Api, stack: Stack) -> None:
    seen: list[str | None] = []

    class Server(BaseHTTPRequestHandler):
        """Something with a certificate that is no daemon."""

        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(("localhost", 0), Server) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://localhost:{server.server_port}"
        (sentence,) = errors(hub, "hosts/add", body(stack, url=url))["ca"]
        assert sentence.startswith("Host 'web-1' can't be reached: certificate verify failed")
        trusted = body(stack, url=url, ca=authority.cert_pem.bytes().decode())
        assert errors(hub, "hosts/add", trusted) == {
            "url": [f"What answers at {url} is not the API of a daemon"]
        }
        server.shutdown()
    assert seen == [None], "the token is sent to daemons only"


def test_nothing_of_a_token_is_in_a_log(stack: Stack, hub: Api) -> None:
    hub.ok("hosts/add", body(stack))
    logs = "".join(file.read_text(errors="replace") for file in (stack.folder / "stack-logs").iterdir())
    assert "The host 'web-1' was added by admin" in logs
    assert stack.token not in logs
