"""Hosts, two hubs, PostgreSQL and Redis on machines of their own, unplugged and killed at random.

Each host goes on; the hubs lose no event of one and have none twice, and show what is within seconds. All
kinds of faults happen in turn, in an order drawn by ``DRILL_SEED``, which is printed.
"""

import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from daemon_programs.exceptions import DaemonError
from daemon_programs.supervisor.client import ALL, Supervisor
from tests import servers
from tests.database import on_embedded
from tests.drills import ROUNDS, SEED
from tests.drills.consistency import explained
from tests.drills.network_faults import BRIEF_KINDS, KINDS, LONG_KINDS, Fault, World
from tests.drills.view_of_hosts import HEALED_SECONDS, View
from tests.fleet import hubs
from tests.fleet.network import is_possible, network
from tests.processes import LONG_RUNNING
from tests.stack import PROJECT, Stack, eventually, temporary_folder, temporary_stack

HOSTS = 5 if ROUNDS > 1 else 2
FAULTS = 5 * ROUNDS if ROUNDS > 1 else len(BRIEF_KINDS)
TWO_AT_ONCE = 0.2 if ROUNDS > 1 else 0  # so many of the faults are joined by another one
PROGRAMS = 3
STEADY = "steady"  # the name of programs that no one touches; others are changed

RECORD_FOR_LONG = """
import time
from fleet import database
with database.recording():
    print("records", flush=True)
    time.sleep(100)
"""

pytestmark = [
    pytest.mark.skipif(not servers.are_installed(), reason=servers.MISSING),
    on_embedded,  # its networks don't reach the servers of the tests
]


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
        key = opened.enter_context(temporary_folder()) / "hosts-key"
        key.write_bytes(Fernet.generate_key())
        key.chmod(0o600)
        world = World(postgresql, database, redis)

        def started(**environment: str) -> Stack:
            stack = opened.enter_context(temporary_stack(**environment))
            machine = world.machines[stack] = net.machine()
            stack.address, stack.prefix = machine.address, machine.prefix
            return stack.start()

        for number in range(HOSTS):
            host = world.hosts[f"host-{number}"] = started()
            for each in range(PROGRAMS):
                host.api.add(LONG_RUNNING, name=f"{STEADY} {each}", boot=True)
            world.changing[host] = [
                host.api.add(LONG_RUNNING, name=f"changing {each}") for each in range(PROGRAMS)
            ]
        for number in range(2):
            hub = started(
                DAEMON_HUB_DATABASE_URL=f"{postgresql.url}/hub",
                DAEMON_HOSTS_KEY_FILE=str(key),
                DAEMON_BROKER_URL=f"{redis.url}/{number}",
            )
            world.hubs.append(hub)
        for name, host in world.hosts.items():
            hubs.add_host(world.hubs[0], host, name)
        yield world


def test_whatever_is_unplugged_or_killed_the_view_is_right_again(world: World) -> None:
    print(f"DRILL_SEED={SEED}")
    with explained(world.hubs[0]), explained(world.hubs[1]):
        _run(world)


def test_hub_that_is_cut_off_in_a_transaction_keeps_no_other_from_writing(world: World) -> None:
    one, other = world.hubs
    machine = world.machines[one]
    command = [*machine.prefix, sys.executable, "manage.py", "shell", "-v", "0", "-c", RECORD_FOR_LONG]
    with subprocess.Popen(command, cwd=PROJECT, env=one.env, stdout=subprocess.PIPE, text=True) as recording:
        try:
            assert recording.stdout is not None
            assert recording.stdout.readline() == "records\n"
            machine.unplug()
            began = time.monotonic()
            hubs.run(other, "from fleet import database\nwith database.recording(): pass")
            print(f"   after {time.monotonic() - began:.1f} s", flush=True)
            assert time.monotonic() - began < HEALED_SECONDS
        finally:
            machine.plug_in()
            recording.kill()


def _run(world: World) -> None:
    view = View(world)
    view.until_right()
    steady = {host: eventually(lambda host=host: _steady(host), 30) for host in world.hosts.values()}
    took: dict[str, list[float]] = defaultdict(list)
    try:
        for number, kinds in enumerate(_kinds_in_turn()):
            chance = random.Random(f"{SEED} {number}")
            faults = _drawn(world, kinds, chance)
            print(f"{number}: {' + '.join(faults)}: {', '.join(_names(world, faults))}", flush=True)
            _go_through(world, view, [*faults.values()], chance)
            seconds = view.until_right()
            print(f"   right after {seconds:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            took["two at once" if len(faults) > 1 else kinds[0]].append(seconds)
            steady = _check_untouched(world, steady)
    finally:
        _report(took)
    view.compare_all_events()
    late = {name: worst for name, seconds in took.items() if (worst := max(seconds)) > HEALED_SECONDS}
    assert not late, f"not right within {HEALED_SECONDS} s: {late}"


def _kinds_in_turn() -> Iterator[tuple[str, ...]]:
    """Yield the kinds of the faults, one or two at a time: none a second time before all have been."""
    if ROUNDS == 1:
        yield from ((name,) for name in BRIEF_KINDS)
        return
    chance = random.Random(SEED)
    order: list[str] = []
    for _ in range(FAULTS):
        order = order or chance.sample(sorted(KINDS), len(KINDS))
        others = sorted(KINDS.keys() - LONG_KINDS.keys())
        second = [chance.choice(others)] if chance.random() < TWO_AT_ONCE else []
        yield order.pop(), *second


def _drawn(world: World, kinds: Sequence[str], chance: random.Random) -> dict[str, Fault]:
    """Return faults of these kinds; only the first where all hit the same machine."""
    for _ in range(20):
        faults = {kind: KINDS[kind](world, chance) for kind in kinds}
        hit = [each for fault in faults.values() for each in fault.hit]
        if len(hit) == len(set(hit)):
            return faults
    return {kinds[0]: faults[kinds[0]]}


def _names(world: World, faults: dict[str, Fault]) -> Iterator[str]:
    """Yield the names of what the faults hit."""
    names: dict[object, str] = {stack: name for name, stack in world.hosts.items()}
    names |= {hub: f"hub-{number}" for number, hub in enumerate(world.hubs)}
    names |= {world.postgresql: "PostgreSQL", world.redis: "Redis"}
    return (names[each] for fault in faults.values() for each in fault.hit)


def _go_through(world: World, view: View, faults: Sequence[Fault], chance: random.Random) -> None:
    """Have faults at the same time; change programs before them and twice while they last."""
    hit = {each for fault in faults for each in fault.hit}
    _change_programs(world, hit, chance)
    with contextlib.ExitStack() as lasting:
        for fault in faults:
            lasting.enter_context(fault.context)
        _change_programs(world, hit, chance)
        time.sleep(max(chance.uniform(*fault.seconds) for fault in faults))
        _change_programs(world, hit, chance)
        if len(faults) == 1 and faults[0].is_noticed:
            view.until_noticed(hit)


def _change_programs(world: World, hit: set[Any], chance: random.Random) -> None:
    """Start, stop and kill programs on each host, and edit one on each that no fault hits.

    The API of others may not answer. Their supervisord does, unless it is what was killed.
    """
    for host in world.hosts.values():
        supervisord = Supervisor(host.folder / "supervisor.sock")
        ids = world.changing[host]
        with contextlib.suppress(DaemonError):
            for id in ids:
                verb = chance.choice(["start", "stop", "restart", "kill"])
                if verb == "kill":
                    supervisord.signal(f"program-{id}", ALL, "KILL", "process")
                else:
                    getattr(supervisord, verb)(f"program-{id}")
        if host not in hit:
            host.api.ok(f"programs/edit/{chance.choice(ids)}", {"description": f"{chance.random()}"})


def _steady(host: Stack) -> dict[str, int]:
    """Return the pids of the programs that no one touches; nothing while one does not run."""
    listed = host.api.get("programs", include_status="true").json()["programs"]
    pids = {each["name"]: each["status"].get("pid") for each in listed if each["name"].startswith(STEADY)}
    return pids if all(pids.values()) else {}


def _check_untouched(world: World, before: dict[Stack, dict[str, int]]) -> dict[Stack, dict[str, int]]:
    """Check that no program was ended, unless its supervisord was; return the present pids."""
    now = {host: eventually(lambda host=host: _steady(host), 30) for host in world.hosts.values()}
    for host, pids in now.items():
        if host in world.restarted:
            assert pids.keys() == before[host].keys(), "not all programs run again"
        else:
            assert pids == before[host], "programs were ended"
    world.restarted.clear()
    return now


def _report(took: dict[str, list[float]]) -> None:
    """Print how long it took until the view was right, the slowest kinds of faults first."""
    every = [each for seconds in took.values() for each in seconds]
    for name, seconds in [("all", every), *sorted(took.items(), key=lambda item: -max(item[1]))]:
        if seconds:
            print(
                f"{len(seconds):4} {name}: {statistics.median(seconds):.1f} s (median),"
                f" {max(seconds):.1f} s (worst)",
                flush=True,
            )
