"""``fleet/quick-start``: which host is chosen, what it answers, and what goes wrong."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from fleet.exceptions import NoHostMatches
from fleet.placement import launch
from fleet.placement.choice import STEP_BYTES, Candidate, by_room
from tests.fleet import hubs
from tests.fleet.held_links import add_held_hosts
from tests.stack import OWN_USER, Api, Stack, free_port
from tests.test_access import FORGET_USERS

LAUNCH: dict[str, Any] = {"command": "sh -c 'echo made; exit 3'", "user": OWN_USER, "autorestart": "false"}
FORGET_HOSTS = "from fleet.models import *; Host.objects.all().delete(); HostCall.objects.all().delete()"


def machine(gigabytes: float, load: float = 0.0, cpus: int = 4) -> dict[str, Any]:
    return {
        "cpus": cpus,
        "load_1m": load,
        "memory_total_bytes": 64 * 2**30,
        "memory_available_bytes": int(gigabytes * 2**30),
    }


# The choice


@pytest.mark.parametrize(
    ("candidates", "names"),
    [
        ([("a", machine(1)), ("b", machine(8)), ("c", machine(4))], "bca"),
        # Memory that hardly differs doesn't count, the load of each CPU does.
        ([("a", machine(8.1, 3)), ("b", machine(8, 1)), ("c", machine(8, 4, cpus=32))], "cba"),
        ([("a", machine(2, 0)), ("b", machine(8, 16))], "ba"),
        # Each program that was placed just now counts as 256 MiB and a CPU.
        ([("a", machine(8), 1), ("b", machine(8))], "ba"),
        ([("a", machine(8), 3), ("b", machine(7))], "ab"),
        ([("a", machine(8), 5), ("b", machine(7))], "ba"),
        # A host that doesn't tell its room is among the last, as is one that tells nonsense.
        ([("a", {}), ("b", machine(0.1, 99)), ("c", {}, 1)], "bac"),
        ([("a", {"memory_available_bytes": "8"}), ("b", {"memory_available_bytes": True})], "ab"),
        ([("a", {"memory_available_bytes": float("nan")}), ("b", machine(1))], "ba"),
        ([("a", {"memory_available_bytes": -1}), ("b", {"memory_available_bytes": STEP_BYTES})], "ba"),
        ([("a", machine(8, cpus=0)), ("b", machine(8, 99))], "ba"),
        ([("b", machine(8)), ("a", machine(8))], "ab"),
        ([], ""),
    ],
)
def test_host_with_the_most_room_is_first(candidates: list[tuple[Any, ...]], names: str) -> None:
    assert [each.name for each in by_room(Candidate(*given) for given in candidates)] == list(names)


def test_programs_that_are_placed_at_once_are_spread() -> None:
    placed = {"a": 0, "b": 0, "c": 0}
    for _ in range(9):
        first = by_room(Candidate(name, machine(8), count) for name, count in placed.items())[0]
        placed[first.name] += 1
    assert placed == {"a": 3, "b": 3, "c": 3}


# The route


@pytest.fixture(scope="module")
def hub(stack: Stack) -> Iterator[Stack]:
    """A hub whose hosts are itself, by several names, and one that does not answer."""
    batch, web = {"labels": {"role": "batch"}}, {"labels": {"role": "web"}}
    add_held_hosts(
        stack,
        {
            "here-1": {"labels": {"role": "batch", "size": "small"}, "machine": machine(4)},
            "here-2": {**batch, "machine": machine(8)},
            "gone": {**batch, "machine": machine(16), "url": f"http://127.0.0.1:{free_port()}"},
            "lost": {**web, "machine": machine(32), "state": "lost"},
            "stale": {**web, "machine": machine(32), "heard": -300},
            "new": {**web, "state": "new"},
            "stranger": {"token": "hdt_of_another"},
        },
    )
    yield stack
    hubs.run(stack, FORGET_HOSTS)


def calls(hub: Stack) -> list[tuple[Any, ...]]:
    found = hubs.rows(hub, 'SELECT "user", host, method, path, code, error FROM fleet_hostcall ORDER BY id')
    return [tuple(row.values()) for row in found]


def test_it_runs_where_the_most_room_is_and_answers_as_that_host(hub: Stack, api: Api) -> None:
    before = len(calls(hub))
    answer = api.ok("fleet/quick-start", {**LAUNCH, "wait": "exit", "hosts": {"labels": ["role=batch"]}})
    assert (answer["host"], answer["status"], answer["stdout"]) == ("here-2", "exited", "made")
    assert answer["last_run"]["exit_code"] == 3
    assert api.get(f"quick-start/{answer['temporary_id']}/status").json()["status"] == "exited"
    # The one with still more room was tried first, and told nothing.
    gone, here = calls(hub)[before:]
    path = "/api/v1/daemon/quick-start"
    assert gone[:5] == ("admin", "gone", "POST", path, None)
    assert gone[5].startswith("Host 'gone' can't be reached: ")
    assert here == ("admin", "here-2", "POST", path, 200, "")


@pytest.mark.parametrize(
    ("hosts", "chosen"),
    [
        ({"names": ["here-1"]}, "here-1"),
        ({"names": ["here-*", "lost"], "labels": ["size=small"]}, "here-1"),
        ({"labels": ["role=batch", "size"]}, "here-1"),
        ({"names": ["here-?", "stranger"]}, "here-2"),
    ],
)
def test_only_hosts_that_are_meant_are_chosen(
    hub: Stack, api: Api, hosts: dict[str, Any], chosen: str
) -> None:
    assert api.ok("fleet/quick-start", {**LAUNCH, "wait": True, "hosts": hosts})["host"] == chosen


@pytest.mark.parametrize(
    ("hosts", "status", "word", "sentence"),
    [
        ({"names": ["here-3"]}, 404, "not_found", "Host 'here-3' not found"),
        ({"names": ["here-3*"]}, 404, "not_found", "No host matches"),
        ({"names": ["here-1"], "labels": ["role=web"]}, 404, "not_found", "No host matches"),
        (
            {"labels": ["role=web"]},
            409,
            "no_current_host",
            "No host that matches is current: lost, new, stale",
        ),
        ({"names": ["stranger"]}, 502, "host_unreachable", "Host 'stranger' refuses the hub's token"),
    ],
)
def test_without_a_host_nothing_is_run(
    hub: Stack, api: Api, hosts: dict[str, Any], status: int, word: str, sentence: str
) -> None:
    answer = api.post("fleet/quick-start", {**LAUNCH, "hosts": hosts})
    assert (answer.status_code, answer.json()["code"], answer.json()["error"]) == (status, word, sentence)


def test_host_that_can_not_be_reached_is_named(hub: Stack, api: Api) -> None:
    answer = api.post("fleet/quick-start", {**LAUNCH, "hosts": {"names": ["gone"]}})
    assert (answer.status_code, answer.json()["code"], answer.json()["host"]) == (
        502,
        "host_unreachable",
        "gone",
    )
    assert answer.json()["error"].startswith("Host 'gone' can't be reached: ")


@contextmanager
def mute() -> Iterator[str]:
    """A server that takes a request and ends the connection; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_what_may_have_arrived_is_not_sent_to_another_host(hub: Stack, api: Api) -> None:
    with mute() as url:
        add_held_hosts(hub, {"mute": {"url": url, "machine": machine(64)}})
        answer = api.post("fleet/quick-start", {**LAUNCH, "hosts": {"names": ["mute", "here-1"]}})
    hubs.remove_host(hub, "mute")
    assert (answer.status_code, answer.json()["code"], answer.json()["host"]) == (
        502,
        "host_unreachable",
        "mute",
    )
    [(_, host, *_, code, error)] = calls(hub)[-1:]
    assert (host, code, error) == ("mute", None, answer.json()["error"])


def test_errors_of_the_host_are_passed_on(hub: Stack, api: Api) -> None:
    on = {"hosts": {"names": ["here-1"]}}
    answer = api.post("fleet/quick-start", {"command": "true", "user": "no-such-user", **on})
    assert (answer.status_code, answer.json()["host"]) == (400, "here-1")
    assert answer.json()["errors"]["user"]
    late = api.post(
        "fleet/quick-start", {"command": "sleep 60", "user": OWN_USER, **on, "wait": "exit", "timeout": 1}
    )
    assert (late.status_code, late.json()["code"], late.json()["host"]) == (504, "timeout", "here-1")
    api.ok(f"quick-start/{late.json()['temporary_id']}/stop", {})


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hosts": []}, "Field 'hosts' must be an object"),
        ({"hosts": {"name": ["a"]}}, "Unknown field 'name'"),
        ({"hosts": {"names": "a"}}, "Field 'names' must be a list"),
        ({"hosts": {"names": []}}, "Field 'names' must not be empty"),
        ({"hosts": {"labels": {"a": "b"}}}, "Field 'labels' must be a list"),
        ({"host": "a"}, "Unknown field 'host'"),
        ({"wait": "end"}, "Field 'wait' must be true, false or 'exit'"),
    ],
)
def test_body_is_checked_by_the_hub(api: Api, fields: dict[str, Any], sentence: str) -> None:
    assert api.refused("fleet/quick-start", {**LAUNCH, **fields}) == sentence


def test_waits_for_hosts_count_as_waits(hub: Stack, api: Api) -> None:
    """Of the threads half may wait. Here each launch takes two: one of the hub, and one of the host."""
    launch = {"command": "sleep 60", "user": OWN_USER, "wait": "exit", "timeout": 2}
    body = {**launch, "hosts": {"names": ["here-1"]}}
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: api.post("fleet/quick-start", body), range(24)))
    assert {answer.status_code for answer in answers} == {429, 504}
    assert {a.json()["code"] for a in answers if a.status_code == 429} == {"too_many_waits"}
    for answer in answers:
        if "temporary_id" in answer.json():
            api.post(f"quick-start/{answer.json()['temporary_id']}/stop", {})


MAKE_USERS = """
from django.contrib.auth.models import Permission, User
from hoody_site.access.models import ApiToken
for name, permissions in [
    ("both", ["view_host", "operate_host", "view_ephemeralprogram", "add_ephemeralprogram"]),
    ("no-hosts", ["view_ephemeralprogram", "add_ephemeralprogram"]),
    ("no-launch", ["view_host", "operate_host", "view_ephemeralprogram"]),
    ("viewer", ["view_host", "view_ephemeralprogram", "add_ephemeralprogram"]),
]:
    user = User.objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    print("token", name, ApiToken.issue(user, "test"))
"""


def test_it_takes_the_permissions_for_hosts_and_for_launches(hub: Stack) -> None:
    made = hubs.run(hub, FORGET_USERS + MAKE_USERS)
    tokens = dict(line.split()[1:] for line in made.splitlines() if line.startswith("token"))
    body = {**LAUNCH, "hosts": {"names": ["here-1"]}}
    try:
        for name in ("no-hosts", "no-launch", "viewer"):
            sentence = hub.client(tokens[name]).refused("fleet/quick-start", body, 403)
            assert sentence == "You do not have the permission to do this"
        assert hub.client(None).post("fleet/quick-start", body).status_code == 401
        assert hub.client(tokens["both"]).ok("fleet/quick-start", body)["host"] == "here-1"
        assert calls(hub)[-1][:2] == ("both", "here-1")
    finally:
        hubs.run(hub, FORGET_USERS)


@pytest.mark.django_db
def test_hosts_that_are_removed_once_they_are_chosen_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = SimpleNamespace(name="gone", machine={}, is_current=True)
    monkeypatch.setattr(launch, "chosen_hosts", lambda *how: [gone])
    with pytest.raises(NoHostMatches):
        launch.launch({"command": "true"})
