"""Hosts, two hubs, PostgreSQL and Redis on machines of their own, unplugged and killed at random.

Each host goes on; a hub loses no event of one and has none twice, and shows what is within seconds.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
import pytest
import requests

from tests import servers
from tests.drills import ROUNDS
from tests.fleet import hubs
from tests.fleet.network import Machine, is_possible, network
from tests.processes import LONG_RUNNING
from tests.stack import Stack, eventually, temporary_folder, temporary_stack

HOSTS = 5 if ROUNDS > 1 else 2
FAULTS = 5 * ROUNDS if ROUNDS > 1 else 3
PROGRAMS = 3
HEALED_SECONDS = 10

pytestmark = pytest.mark.skipif(not servers.are_installed(), reason=servers.MISSING)


@dataclass
class World:
    """All the machines, and what the hubs share."""

    hosts: dict[str, Stack]
    hubs: list[Stack]
    machines: dict[Stack, Machine]
    shared: str  # the database of the hubs
    steady: dict[str, dict[int, int]]  # by host: the pids of programs that no one touches

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.shared) as connection:
            return connection.execute(sql, parameters).fetchall()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not is_possible():
        pytest.skip("network namespaces can't be made here")
    with contextlib.ExitStack() as opened:
        net = opened.enter_context(network())
        database, broker = net.machine(), net.machine()
        postgresql = opened.enter_context(
            servers.running(servers.Postgresql, database.address, database.prefix)
        )
        redis = opened.enter_context(servers.running(servers.Redis, broker.address, broker.prefix))
        with psycopg.connect(postgresql.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE hub")
        shared = f"{postgresql.url}/hub"
        folder = opened.enter_context(temporary_folder())
        key = folder / "hosts-key"
        machines: dict[Stack, Machine] = {}

        def started(**environment: str) -> Stack:
            stack = opened.enter_context(temporary_stack(**environment))
            machine = net.machine()
            stack.address, stack.prefix = machine.address, machine.prefix
            machines[stack] = machine
            return stack.start()

        hosts = {f"host-{number}": started() for number in range(HOSTS)}
        made = _key()
        key.write_text(made)
        key.chmod(0o600)
        both = [
            started(
                DAEMON_HUB_DATABASE_URL=shared,
                DAEMON_HOSTS_KEY_FILE=str(key),
                DAEMON_BROKER_URL=f"{redis.url}/{number}",
            )
            for number in range(2)
        ]
        steady = {name: _programs_of(stack) for name, stack in hosts.items()}
        for name, stack in hosts.items():
            hubs.add_host(both[0], stack, name)
        yield World(hosts, both, machines, shared, steady)


def _key() -> str:
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode() + "\n"


def _programs_of(host: Stack) -> dict[int, int]:
    ids = [host.api.add(LONG_RUNNING, name=f"steady {number}", boot=True) for number in range(PROGRAMS)]
    for number in range(PROGRAMS):
        host.api.add(LONG_RUNNING, name=f"changing {number}")
    return {id: host.api.until(id, "running")["status"]["pid"] for id in ids}


def test_unplugged_and_killed_at_random_the_view_is_right_again(world: World) -> None:
    chance = random.Random(time.time_ns())
    _until_right(world, 60)
    for number in range(FAULTS):
        with _fault(world, chance, number):
            _change_something(world, chance)
            time.sleep(chance.uniform(0.5, 8))
            _change_something(world, chance)
        _until_right(world, HEALED_SECONDS)
        _nothing_was_touched(world)


@contextlib.contextmanager
def _fault(world: World, chance: random.Random, number: int) -> Iterator[None]:
    """Do one of the things that happen to machines and processes."""
    host, hub = chance.choice([*world.hosts.values()]), chance.choice(world.hubs)
    faults = ["host unplugged", "hub unplugged", "follower killed", "api killed", "hub's database unplugged"]
    fault = faults[number % len(faults)] if number < len(faults) else chance.choice(faults)
    print(f"{number}: {fault}", flush=True)
    if fault == "host unplugged":
        with _unplugged(world, host):
            yield
    elif fault in ("hub unplugged", "hub's database unplugged"):
        with _unplugged(world, hub):
            yield
    else:
        stack, part = (hub, "follower") if fault == "follower killed" else (host, "api")
        for process, owner in stack.owners().items():
            if owner.group == part:
                with contextlib.suppress(psutil.Error):
                    os.kill(process.pid, signal.SIGKILL)
        yield


@contextlib.contextmanager
def _unplugged(world: World, stack: Stack) -> Iterator[None]:
    world.machines[stack].unplug()
    try:
        yield
    finally:
        world.machines[stack].plug_in()


def _change_something(world: World, chance: random.Random) -> None:
    """Start and stop programs on the hosts that can be reached."""
    for stack in world.hosts.values():
        api = stack.api
        with contextlib.suppress(requests.RequestException):
            listed = api.session.get(f"{api.base}/programs", timeout=2).json()["programs"]
            for program in listed:
                if program["name"].startswith("changing"):
                    verb = chance.choice(["start", "stop", "restart"])
                    api.session.post(f"{api.base}/programs/{program['id']}/{verb}", json={}, timeout=10)


def _until_right(world: World, seconds: float) -> None:
    began = time.monotonic()
    for name in world.hosts:
        eventually(lambda name=name: not _differences(world, name), seconds, f"{name} is shown as it is")
    print(f"   right after {time.monotonic() - began:.1f} s", flush=True)


def _differences(world: World, name: str) -> list[str]:
    """Compare what the hubs have of a host with what it says itself."""
    with contextlib.suppress(requests.RequestException):
        return [*_state_differences(world, name), *_event_differences(world, name)]
    return [f"{name} doesn't answer"]


def _state_differences(world: World, name: str) -> list[str]:
    listed = world.hosts[name].api.get("programs", include_status="true").json()["programs"]
    real = {
        program["name"]: program["status"]["status"] if program["enabled"] else "disabled"
        for program in listed
    }
    sql = (
        "SELECT p.name, p.state FROM fleet_followedprogram p JOIN fleet_host h ON h.id = p.host_id"
        " WHERE h.name = %s"
    )
    shown = dict(world.rows(sql, name))
    links = world.rows(
        "SELECT l.state FROM fleet_link l JOIN fleet_host h ON h.id = l.host_id WHERE h.name = %s", name
    )
    found = [] if links == [("current",)] else [f"the link to {name} is {links}"]
    return found + ([] if real == shown else [f"{name}: {real} is shown as {shown}"])


def _event_differences(world: World, name: str) -> list[str]:
    sql = (
        "SELECT e.number FROM fleet_followedevent e JOIN fleet_host h ON h.id = e.host_id"
        " WHERE h.name = %s ORDER BY e.id"
    )
    shown = [number for (number,) in world.rows(sql, name)]
    if not shown:
        return [f"{name}: no events"]
    real = [number for number in reversed(_events_of(world.hosts[name])) if number >= shown[0]]
    return [] if real == shown else [f"{name}: the events {real} are shown as {shown}"]


def _events_of(host: Stack) -> list[int]:
    """Return the numbers of a host's events, newest first."""
    numbers: list[int] = []
    query: dict[str, Any] = {"limit": 1000}
    while True:
        page = host.api.get("events", **query).json()
        numbers += [event["id"] for event in page["events"]]
        if not page["next"]:
            return numbers
        query["cursor"] = page["next"]


def _nothing_was_touched(world: World) -> None:
    for name, pids in world.steady.items():
        for id, pid in pids.items():
            assert world.hosts[name].api.pid(id) == pid
