"""``hosts/{name}/api/v1/daemon/…``: the routes of a host through a hub, with the hub's permissions."""

import hashlib
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import trustme

from tests.fleet import hubs
from tests.fleet.scripted_hosts import ScriptedHost, answer, hang_up
from tests.stack import OWN_USER, Api, Stack, eventually, temporary_stack
from tests.stream_client import StreamClient

MAKE_USERS = """
from django.contrib.auth.models import Group, Permission, User
from hoody_site.access.models import ApiToken
for name, groups, permissions in [
    ("alice", ["operators"], []), ("viewer", ["viewers"], []), ("none", [], []),
    ("blind", [], ["view_program", "operate_program", "change_program", "add_program", "delete_program"]),
    ("guest", [], ["view_host", "operate_host"]),
    ("starter", [], ["view_host", "operate_host", "view_program", "operate_program"]),
]:
    user = User.objects.create_user(name)
    user.groups.set(Group.objects.filter(name__in=groups))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    print("token", name, ApiToken.issue(user, "test"))
"""


@pytest.fixture(scope="module")
def hub(stack: Stack) -> Iterator[Stack]:
    """A hub with one host, which is the stack that all tests share."""
    with temporary_stack() as running:
        running.start()
        hubs.add_host(running, stack, "web-1")
        yield running


@pytest.fixture(scope="module")
def users(hub: Stack) -> dict[str, Api]:
    """Clients of the host through the hub, by the names of the hub's users."""
    tokens = re.findall(r"^token (\w+) (\S+)$", hubs.run(hub, MAKE_USERS), re.MULTILINE)
    return {name: through(hub, token) for name, token in tokens}


def through(hub: Stack, token: str | None, host: str = "web-1") -> Api:
    return Api(f"{hub.url}/api/v1/daemon/hosts/{host}/api/v1/daemon", token)


@pytest.fixture
def scripted(hub: Stack) -> Iterator[Any]:
    """Return a function that makes a host which answers by a script, and the client of it through the hub."""
    names = []

    def make(host: ScriptedHost, **changed: str) -> Api:
        names.append(f"scripted-{len(names)}-{host.url.rpartition(':')[2]}")
        given = {"url": host.url, "token": "hdt_of_the_hub", **changed}
        hubs.add_host(hub, hub, names[-1], **given)
        return through(hub, hub.token, names[-1])

    yield make
    for name in names:
        hubs.remove_host(hub, name)


@pytest.fixture
def alice(users: dict[str, Api], api: Api) -> Api:
    """An operator of the hub; what she adds is removed from the host after the test."""
    return users["alice"]


@pytest.mark.parametrize(
    "route",
    ["programs", "programs/{}", "programs/{}/logs", "logs", "status/{}", "programs/{}/events",
     "programs/{}/deliveries", "quick-start", "ready", "status/999999", "programs/{}/logs?lines=x",
     "events?x=1", "programs?name=%C3%A7%26%23&q=a+b"],
)  # fmt: skip
def test_reads_answer_as_on_the_host(alice: Api, api: Api, route: str) -> None:
    route = route.format(api.add())
    got, there = alice.get(route), api.get(route)
    assert (got.status_code, got.content) == (there.status_code, there.content)
    assert got.headers["Content-Type"] == there.headers["Content-Type"]
    head = alice.session.head(f"{alice.base}/{route}", timeout=60)
    assert (head.status_code, head.content) == (there.status_code, b"")


def test_changes_are_made_once_and_stand_in_both_histories(alice: Api, api: Api, hub: Stack) -> None:
    id = alice.add(command="sleep 600", name="passed on")
    assert alice.ok(f"programs/{id}/start", {"wait": True}) == {"success": True}
    assert api.word(id) == "running"
    alice.ok(f"programs/{id}/stop")
    events = eventually(
        lambda: len(found := api.get(f"programs/{id}/events").json()["events"]) == 4 and found
    )
    assert {(each["by"], each["user"]) for each in events} == {("api", "admin for alice")}
    calls = hub.api.get("fleet/calls", user="alice", limit=3).json()
    assert [(each["method"], each["path"], each["host"], each["code"]) for each in calls["calls"]] == [
        ("POST", f"/api/v1/daemon/programs/{id}/stop", "web-1", 200),
        ("POST", f"/api/v1/daemon/programs/{id}/start", "web-1", 200),
        ("POST", "/api/v1/daemon/programs/add", "web-1", 200),
    ]
    assert "passed on" not in json.dumps(calls)


CHANGING = (
    "programs/add", "programs/edit/{}", "programs/remove/{}", "programs/reset", "programs/apply",
    "programs/batch", "programs/{}/enable", "programs/{}/disable", "programs/{}/start", "programs/{}/stop",
    "programs/{}/restart", "programs/{}/signal", "programs/{}/reload", "programs/{}/input",
    "programs/{}/webhooks/rotate-secret", "quick-start", "quick-start/quick_1/stop",
    "quick-start/quick_1/input",
)  # fmt: skip


def test_who_may_not_do_it_here_may_not_do_it_on_a_host(users: dict[str, Api], api: Api, hub: Stack) -> None:
    id = api.add()
    before = hub.api.get("fleet/calls", limit=1).json()["calls"]
    for route in [each.format(id) for each in CHANGING]:
        for name in ("viewer", "none", "blind", "guest"):
            answered = users[name].post(route, {})
            assert (answered.status_code, answered.json()["code"]) == (403, "permission_denied"), (
                name,
                route,
            )
        assert through(hub, None).post(route, {}).status_code == 401
    for route in ("programs", "logs", "status", f"programs/{id}/deliveries", "quick-start", "events/stream"):
        for name in ("none", "blind", "guest"):
            assert users[name].get(route).status_code == 403, (name, route)
    assert users["viewer"].get("programs").ok
    assert users["guest"].get("health").json()["status"] == "ok"
    assert api.word(id) == "stopped"
    assert hub.api.get("fleet/calls", limit=1).json()["calls"] == before  # nothing was passed on


def test_what_a_body_does_takes_its_permissions(users: dict[str, Api], api: Api) -> None:
    id, starter = api.add(), users["starter"]
    select = {"select": {"ids": [id]}}
    assert starter.ok("programs/batch", {"action": "start", **select})["counts"]["done"] == 1
    for action in ("remove", "disable", "other"):
        assert starter.post("programs/batch", {"action": action, **select}).status_code == 403
    program = {"name": "wished", "command": "true", "user": OWN_USER}
    wish: dict[str, Any] = {"programs": [program], "set": "wished"}
    assert starter.ok("programs/apply", {**wish, "dry_run": True})["counts"]["create"] == 1
    starter.refused("programs/apply", wish, 403)
    users["alice"].ok("programs/apply", wish)
    assert users["alice"].ok("programs/apply", {"programs": [], "set": "wished", "prune": True})


@pytest.mark.parametrize(
    "route",
    ["hosts/web-1/api/v1/daemon/programs", "fleet/calls", "nothing", "programs/", "programs//1",
     "../../metrics", "..%2f..%2fmetrics", "%2e%2e/%2e%2e/metrics", "programs/%2e", "programs/1%2f..%2f2",
     "programs/%00",
     "programs/1%0d%0aX:y/logs", "programs/1%3fx", "programs/%23", "programs/%252e%252e", "programs%5c1",
     "programs/%C3%A7", "metrics", "%2fadmin/"],
)  # fmt: skip
def test_other_paths_are_not_passed_on(hub: Stack, route: str) -> None:
    """Byte for byte, as no client that cleans addresses would send them."""
    request = (
        f"GET /api/v1/daemon/hosts/web-1/api/v1/daemon/{route} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {hub.token}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", hub.port), 30) as line, line.makefile("rb") as answered:
        line.sendall(request.encode())
        head, _, body = answered.read().partition(b"\r\n\r\n")
    assert head.split()[1] == b"404"
    assert b'"error": "There is nothing at this address"' in body.replace(b'":"', b'": "')


def test_unknown_hosts_methods_and_bodies_are_refused_here(users: dict[str, Api], hub: Stack) -> None:
    missing = through(hub, hub.token, "nowhere").get("programs")
    assert (missing.status_code, missing.json()["error"]) == (404, "Host 'nowhere' not found")
    alice = users["alice"]
    assert alice.post("programs", {}).status_code == 405
    assert alice.get("programs/add").status_code == 405
    put = alice.session.put(f"{alice.base}/programs/add", timeout=30)
    assert (put.status_code, put.json()["error"]) == (405, "Method PUT is not allowed here")
    assert alice.post("programs/add", data="{").json()["code"] == "unsupported_media_type"
    as_json = {"headers": {"Content-Type": "application/json"}}
    assert alice.post("programs/add", data='{"a": 1, "a": 2}', **as_json).json()["code"] == "parse_error"
    large = b'{"command": "' + b"x" * 1024 * 1024 + b'"}'
    assert alice.post("programs/add", data=large, **as_json).status_code == 413


def test_refusals_of_the_host_are_its_own_words(alice: Api, api: Api, hub: Stack) -> None:
    there, here = api.post("programs/999999/start", {}), alice.post("programs/999999/start", {})
    assert (here.status_code, here.content) == (there.status_code, there.content)
    call = hub.api.get("fleet/calls", limit=1, host="web-1").json()["calls"][0]
    assert (call["code"], call["error"]) == (404, "Program with ID 999999 not found")


def test_only_a_few_headers_pass_in_either_direction(scripted: Any) -> None:
    sent = answer(
        status="429 Too Many Requests", Retry_After="7", Set_Cookie="a=b", Location="http://evil.example/",
        Server="x", WWW_Authenticate="Basic", Content_Security_Policy="none",
    )  # fmt: skip
    with ScriptedHost(sent) as host:
        client = scripted(host)
        answered = client.get("programs", q="x", headers=None)
        assert answered.status_code == 429
        assert answered.headers["Retry-After"] == "7"
        assert not {"Set-Cookie", "Location", "WWW-Authenticate"} & set(answered.headers)
        assert "default-src 'none'" in answered.headers["Content-Security-Policy"]
        more = {"Cookie": "sessionid=secret", "X-Forwarded-For": "1.2.3.4", "Idempotency-Key": "k-1",
                "Last-Event-ID": "5", "On-Behalf-Of": "bo b", "Connection": "X-O", "X-O": "y"}  # fmt: skip
        client.post("programs/1/start?x=1", {"wait": True}, headers=more)
        fields = host.requests[1].decode().split("\r\n")
        bad = {"Idempotency-Key": "\xfc/"}
        assert client.post("programs/1/start", {}, headers=bad).json()["code"] == "invalid"
    assert fields[0] == "POST /api/v1/daemon/programs/1/start?x=1 HTTP/1.1"
    assert json.loads(fields[-1]) == {"wait": True}
    sent_on = dict(field.split(": ", 1) for field in fields[1:-2])
    assert sent_on.pop("Idempotency-Key") == hashlib.sha256(b"admin\0k-1").hexdigest()
    assert sent_on.pop("Host") == host.url.removeprefix("http://")
    assert sent_on == {
        "Accept-Encoding": "identity",
        "Content-Length": sent_on["Content-Length"],
        "Authorization": "Bearer hdt_of_the_hub",
        "User-Agent": "hoody-daemon hub",
        "On-Behalf-Of": "admin for bo b",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (answer(b"<h1>hi</h1>", Content_Type="text/html"), "host_unreachable"),
        (answer(status="302 Found", Location="http://127.0.0.1:1/"), "host_unreachable"),
        (answer(b"\x1f\x8b", Content_Encoding="gzip"), "host_unreachable"),
        (answer(status="401 Unauthorized"), "host_token_refused"),
        (answer(b"short", Content_Length="10"), "host_unreachable"),
        (lambda line: line.sendall(b"SSH-2.0-OpenSSH\r\n"), "host_unreachable"),
        (hang_up, "host_unreachable"),
    ],
)
def test_what_is_no_daemon_is_a_502(scripted: Any, hub: Stack, step: Any, code: str) -> None:
    def closing(line: socket.socket) -> None:
        step(line)
        hang_up(line)

    with ScriptedHost(closing) as host:
        client = scripted(host)
        for answered in (
            client.get("programs"),
            client.get("events/stream"),
            client.post("programs/1/stop", {}),
        ):
            assert (answered.status_code, answered.json()["code"]) == (502, code), answered.text
        assert "Location" not in answered.headers
    call = hub.api.get("fleet/calls", limit=1).json()["calls"][0]
    assert "code" not in call
    assert call["error"] == answered.json()["error"]


def test_a_get_is_repeated_once_on_a_connection_that_was_closed_and_a_post_never(scripted: Any) -> None:
    with ScriptedHost(hang_up, answer(b'{"n":1}'), hang_up, hang_up, hang_up, answer(b'{"n":2}')) as host:
        client = scripted(host)
        assert client.get("programs").json() == {"n": 1}
        assert client.get("programs").status_code == 502  # twice
        assert client.post("programs/1/stop", {}).status_code == 502
        assert client.get("programs").json() == {"n": 2}
        assert [each.split()[0] for each in host.requests] == [*[b"GET"] * 4, b"POST", b"GET"]


def test_long_answers_pass_in_pieces(scripted: Any) -> None:
    long = b'{"logs":"' + b"x" * 5_000_000 + b'"}'
    half = answer(long, Content_Length="6000000")
    with ScriptedHost(answer(long), lambda line: (half(line), hang_up(line))) as host:
        client = scripted(host)
        answered = client.get("programs/1/logs")
        assert (answered.content, answered.headers["Content-Length"]) == (long, str(len(long)))
        with pytest.raises(requests.RequestException):  # no client takes half of it for the whole
            client.post("quick-start", {})


def test_an_unreachable_host_is_told_and_recorded(scripted: Any, hub: Stack) -> None:
    with ScriptedHost(hang_up) as host:
        client = scripted(host)
    sentence = client.get("programs").json()["error"]
    assert re.fullmatch(r"Host 'scripted-0-\d+' can't be reached: .*Connection refused", sentence), sentence
    assert client.get("events/stream").status_code == 502
    assert client.refused("programs/1/stop", {}, 502) == sentence


def test_browsers_see_the_page_of_the_hub(alice: Api, api: Api, scripted: Any) -> None:
    id = api.add(name="on a page")
    page = alice.session.get(f"{alice.base}/programs/{id}", headers={"Accept": "text/html"}, timeout=30)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "on a page" in page.text
    with ScriptedHost(answer(b"no JSON")) as host:
        client = scripted(host)
        shown = client.session.get(f"{client.base}/programs", headers={"Accept": "text/html"}, timeout=30)
        assert shown.status_code == 502


def test_calls_are_paged_and_chosen_and_need_a_permission(users: dict[str, Api], hub: Stack) -> None:
    for number in range(3):
        users["starter"].post(f"programs/{999_990 + number}/stop", {})
    first = hub.api.get("fleet/calls", user="starter", limit=2, since="1h").json()
    assert [each["path"].split("/")[-2] for each in first["calls"]] == ["999992", "999991"]
    rest = hub.api.get("fleet/calls", user="starter", cursor=first["next"]).json()
    assert rest["calls"][0]["path"].endswith("999990/stop")
    assert hub.api.get("fleet/calls", host="nowhere").json() == {"success": True, "calls": [], "next": None}
    assert hub.api.get("fleet/calls", since="2100-01-01").json()["calls"] == []
    assert hub.api.get("fleet/calls", hosts="x").json()["errors"] == {
        "hosts": ["Unknown query parameter 'hosts'"]
    }
    for name, code in (("viewer", 200), ("guest", 403), ("none", 403)):
        token = users[name].session.headers["Authorization"].removeprefix("Bearer ")
        assert hub.client(token).get("fleet/calls").status_code == code


def test_a_host_is_asked_over_tls_with_its_own_authority(stack: Stack, scripted: Any) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    stream = answer(b"event: x\ndata: {}\n\n", Content_Type="text/event-stream")
    with ScriptedHost(answer(b'{"n":1}'), stream, context=context) as host:
        client = scripted(host, ca=authority.cert_pem.bytes().decode())
        assert client.get("programs").json() == {"n": 1}
        with requests.get(f"{client.base}/events/stream", headers=client.session.headers, stream=True) as got:
            assert next(got.iter_lines(chunk_size=1)) == b"event: x"
        distrusted = scripted(host, ca=other.cert_pem.bytes().decode())
        assert "certificate" in distrusted.get("programs").json()["error"]


# Streams


def followed(hub: Stack, route: str, **options: Any) -> StreamClient:
    return StreamClient(hub, f"hosts/{options.pop('host', 'web-1')}/api/v1/daemon/{route}", **options)


def test_a_log_is_followed_through_a_hub_and_resumed(alice: Api, api: Api, hub: Stack) -> None:
    command = "sh -c 'for i in 1 2 3; do echo line $i; done; read x; echo line $x; read x'"
    id = alice.add(command=command, stdin="pipe")
    alice.ok(f"programs/{id}/start", {"wait": True})
    with followed(hub, f"programs/{id}/logs/stream", lines=10) as client:
        assert client.status == 200
        assert client.headers["content-type"] == "text/event-stream"
        assert client.lines(3) == ["line 1", "line 2", "line 3"]
        position = client.last_id
    alice.ok(f"programs/{id}/input", {"text": "4\n"})
    with followed(hub, f"programs/{id}/logs/stream", after=position) as client:
        assert client.line() == "line 4"
    with followed(hub, f"programs/{id}/logs/stream", lines=1, last_event_id=position) as client:
        assert client.line() == "line 4"
        eventually(lambda: open_streams(hub) == 1, what="the others are closed")
        api.ok(f"programs/remove/{id}")
        assert client.until("end").data == {"reason": "removed"}
        assert client.is_ended()
    eventually(lambda: open_streams(hub) == 0)
    assert followed(hub, "programs/999999/logs/stream").body()["code"] == "not_found"
    assert followed(hub, "events/stream", after="x").body()["code"] == "invalid"
    assert followed(hub, "events/stream", wrong=1).status == 400


def open_streams(stack: Stack) -> int:
    metrics = stack.api.get("../../../metrics").text
    return int(float(re.search(r"^daemon_streams_open (\S+)$", metrics, re.MULTILINE)[1]))  # type: ignore[index]


def test_a_slow_client_slows_the_host_down_and_a_gone_one_leaves_it(hub: Stack, scripted: Any) -> None:
    sent = []

    def flood(line: socket.socket) -> None:
        begin = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        line.sendall(begin.encode())
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        line.settimeout(30)
        while True:
            line.sendall(b"data: " + b"x" * 65536 + b"\n\n")
            sent.append(time.monotonic())

    with ScriptedHost(flood) as host:
        name = scripted(host).base.split("/")[-4]
        with followed(hub, "events/stream", host=name) as client:
            assert client.status == 200
            eventually(lambda: sent and time.monotonic() - sent[-1] > 0.3, 30, "the host has to wait")
            held = len(sent)
            assert held < 500  # of 64 KiB: what buffers of sockets hold
            for _ in range(2 * held):
                client._until(b"\n\n", time.monotonic() + 15)
            assert len(sent) > held
        ended = len(sent)
        eventually(lambda: (len(sent), ended)[0] >= ended and time.monotonic() - sent[-1] > 0.3)
        eventually(lambda: open_streams(hub) == 0)


def test_streams_of_a_host_that_is_removed_or_not_allowed_any_more_end(hub: Stack, scripted: Any) -> None:
    """They are looked at every 15 seconds."""
    quiet = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    with ScriptedHost(lambda line: line.sendall(quiet)) as host:
        name = scripted(host).base.split("/")[-4]
        made = hubs.run(hub, MAKE_GUEST)
        with (
            followed(hub, "events/stream", host=name) as removed,
            followed(hub, "events/stream", host=name, token=made.split()[-1]) as forbidden,
        ):
            assert removed.status == forbidden.status == 200
            hubs.run(
                hub, "from django.contrib.auth.models import User; User.objects.get(username='g').delete()"
            )
            hubs.run(
                hub,
                f"from fleet.models import Host; Host.objects.filter(name={name!r}).update(url='http://x')",
            )
            assert removed.is_ended(25)
            assert forbidden.is_ended(25)
        assert host.gone.wait(10)


MAKE_GUEST = """
from django.contrib.auth.models import Group, User
from hoody_site.access.models import ApiToken
user = User.objects.create_user("g")
user.groups.set(Group.objects.filter(name="viewers"))
print(ApiToken.issue(user, "test"))
"""
