"""What can happen to hosts, hubs and the servers between them: the faults that a drill draws from."""

import contextlib
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import psutil

from tests.fleet.network import Machine
from tests.processes import is_alive
from tests.servers import Postgresql, Redis
from tests.stack import Stack, eventually
from tests.temporary_programs import own_processes

PARTS_OF_A_HOST = ("api", "scheduler", "listener", "prober")
PARTS_OF_A_HUB = (*PARTS_OF_A_HOST, "follower")

_SECONDS = (0.5, 8.0)
_SECONDS_AFTER_A_KILL = (0.0, 2.0)  # it heals by itself, so most of that is measured
_LONG_SECONDS = (42.0, 50.0)  # longer than a stream may be silent, and than all other patience


@dataclass
class World:
    """All the machines, and what the hubs share."""

    postgresql: Postgresql
    postgresql_machine: Machine
    redis: Redis
    hosts: dict[str, Stack] = field(default_factory=dict)
    hubs: list[Stack] = field(default_factory=list)
    machines: dict[Stack, Machine] = field(default_factory=dict)
    changing: dict[Stack, list[int]] = field(default_factory=dict)  # by host: the programs that are changed
    restarted: set[Stack] = field(default_factory=set)  # whose supervisord was killed, until that is checked


@dataclass(frozen=True)
class Fault:
    """A fault, which lasts as long as its context does."""

    hit: tuple[object, ...]  # stacks and servers
    context: AbstractContextManager[None]
    seconds: tuple[float, float] = _SECONDS
    is_noticed: bool = False  # it lasts for so long that the hubs must notice


Draw = Callable[[World, random.Random], Fault]


def _victim(world: World, chance: random.Random, *, of_hub: bool) -> Stack:
    return chance.choice(world.hubs if of_hub else [*world.hosts.values()])


def _cut_off(*, of_hub: bool, long: bool = False) -> Draw:
    def draw(world: World, chance: random.Random) -> Fault:
        stack = _victim(world, chance, of_hub=of_hub)
        seconds = _LONG_SECONDS if long else _SECONDS
        return Fault((stack,), _unplugged(world.machines[stack]), seconds, is_noticed=long)

    return draw


def _cut_off_from_postgresql(*, long: bool = False) -> Draw:
    def draw(world: World, chance: random.Random) -> Fault:
        hub = chance.choice(world.hubs)
        cut = _cut(world.machines[hub], world.postgresql_machine)
        return Fault((hub, world.postgresql), cut, _LONG_SECONDS if long else _SECONDS, is_noticed=long)

    return draw


def _hubs_cut_off_from_each_other(world: World, chance: random.Random) -> Fault:
    one, other = world.hubs
    return Fault((one, other), _cut(world.machines[one], world.machines[other]))


def _one_way(*, from_hub: bool) -> Draw:
    """Lose what one of two machines sends."""

    def draw(world: World, chance: random.Random) -> Fault:
        host, hub = (_victim(world, chance, of_hub=of_hub) for of_hub in (False, True))
        sender, receiver = (hub, host) if from_hub else (host, hub)
        return Fault((host, hub), _lost(world.machines[sender], world.machines[receiver]))

    return draw


def _killed(part: str, *, of_hub: bool, worker: bool = False) -> Draw:
    """Kill the first process of a part, or one that it has started."""

    def draw(world: World, chance: random.Random) -> Fault:
        stack = _victim(world, chance, of_hub=of_hub)

        @contextlib.contextmanager
        def killed() -> Iterator[None]:
            [victim, *_] = eventually(lambda: _of_part(stack, part, worker), 20, f"there is a {part}")
            _send([victim], signal.SIGKILL)
            yield

        return Fault((stack,), killed(), _SECONDS_AFTER_A_KILL)

    return draw


def _of_part(stack: Stack, part: str, worker: bool) -> list[psutil.Process]:
    """Return the first process of a part, or those that it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            process
            for process in own_processes(stack, part)
            if is_alive(process) and (process.ppid() != stack.supervisord_pid) == worker
        ]
    return []


def _suspended(part: str, *, of_hub: bool) -> Draw:
    def draw(world: World, chance: random.Random) -> Fault:
        stack = _victim(world, chance, of_hub=of_hub)

        @contextlib.contextmanager
        def suspended() -> Iterator[None]:
            processes = own_processes(stack, part)
            _send(processes, signal.SIGSTOP)
            try:
                yield
            finally:
                _send(processes, signal.SIGCONT)

        return Fault((stack,), suspended())

    return draw


def _supervisord_killed(*, of_hub: bool) -> Draw:
    def draw(world: World, chance: random.Random) -> Fault:
        stack = _victim(world, chance, of_hub=of_hub)

        @contextlib.contextmanager
        def killed() -> Iterator[None]:
            world.restarted.add(stack)
            stack.kill_supervisord()
            yield
            stack.start()

        return Fault((stack,), killed())

    return draw


def _postgresql_killed(world: World, chance: random.Random) -> Fault:
    return Fault((world.postgresql,), _away(world.postgresql))


def _redis_killed(world: World, chance: random.Random) -> Fault:
    return Fault((world.redis,), _away(world.redis))


@contextlib.contextmanager
def _unplugged(machine: Machine) -> Iterator[None]:
    machine.unplug()
    try:
        yield
    finally:
        machine.plug_in()


@contextlib.contextmanager
def _cut(one: Machine, other: Machine) -> Iterator[None]:
    with _lost(one, other), _lost(other, one):
        yield


@contextlib.contextmanager
def _lost(sender: Machine, receiver: Machine) -> Iterator[None]:
    sender.lose_packets_to(receiver)
    try:
        yield
    finally:
        sender.reach(receiver)


@contextlib.contextmanager
def _away(server: Postgresql | Redis) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


def _send(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


# Those that each `make test` has, in this order.
BRIEF_KINDS: dict[str, Draw] = {
    "host cut off": _cut_off(of_hub=False),
    "hub cut off": _cut_off(of_hub=True),
    "follower of a hub killed": _killed("follower", of_hub=True),
}
LONG_KINDS: dict[str, Draw] = {
    "host cut off for long": _cut_off(of_hub=False, long=True),
    "hub cut off for long": _cut_off(of_hub=True, long=True),
    "hub cut off from PostgreSQL for long": _cut_off_from_postgresql(long=True),
}
KINDS: dict[str, Draw] = {
    **BRIEF_KINDS,
    **LONG_KINDS,
    **{f"{part} of a host killed": _killed(part, of_hub=False) for part in PARTS_OF_A_HOST},
    **{f"{part} of a hub killed": _killed(part, of_hub=True) for part in PARTS_OF_A_HUB},
    "a worker of a host's api killed": _killed("api", of_hub=False, worker=True),
    "a worker of a hub's api killed": _killed("api", of_hub=True, worker=True),
    "supervisord of a host killed": _supervisord_killed(of_hub=False),
    "supervisord of a hub killed": _supervisord_killed(of_hub=True),
    "api of a host suspended": _suspended("api", of_hub=False),
    "follower of a hub suspended": _suspended("follower", of_hub=True),
    "PostgreSQL killed": _postgresql_killed,
    "Redis killed": _redis_killed,
    "hub cut off from PostgreSQL": _cut_off_from_postgresql(),
    "hubs cut off from each other": _hubs_cut_off_from_each_other,
    "what a hub sends to a host lost": _one_way(from_hub=True),
    "what a host sends to a hub lost": _one_way(from_hub=False),
}
