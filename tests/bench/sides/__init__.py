"""The contenders, and how they are chosen."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench import peers
from tests.bench.sides.circus import CircusApi, Circusctl, CircusDaemon, circus
from tests.bench.sides.ours import own_stack
from tests.bench.sides.plain import PlainSupervisord
from tests.bench.sides.pm2 import Pm2Api, Pm2CommandLine, Pm2Daemon, pm2
from tests.bench.sides.side import Daemon
from tests.bench.sides.supervisor import Supervisorctl, XmlRpc, stock_supervisord

Maker = Callable[[], contextlib.AbstractContextManager[Daemon]]

OURS = "this project"
BEFORE = "before"
# What is given to --contenders, and the names in the tables
CHOICES = {
    "ours": OURS,
    "xmlrpc": XmlRpc.name,
    "supervisorctl": Supervisorctl.name,
    "pm2": Pm2Api.name,
    "pm2-cli": Pm2CommandLine.name,
    "circus": CircusApi.name,
    "circusctl": Circusctl.name,
}
# What has rows of its own: boot, memory... (ours and before are called the same)
_DAEMONS = (PlainSupervisord.name, Pm2Daemon.name, CircusDaemon.name)
_PEERS: dict[str, tuple[set[str], Callable[[], Maker]]] = {
    "pm2": ({"pm2", "pm2-cli"}, lambda: partial(pm2, peers.pm2())),
    "circus": ({"circus", "circusctl"}, lambda: partial(circus, peers.circus())),
}


def names(chosen: list[str], against: Path | None) -> list[str]:
    """Return the names of the sides, and of daemons, in the order of the tables."""
    found = [CHOICES[key] for key in CHOICES if key in chosen]
    if against is not None:
        found.insert(found.index(OURS) + 1 if OURS in found else 0, BEFORE)
    return [*found, *_DAEMONS]


def makers(chosen: list[str], against: Path | None, say: Callable[[str], None]) -> list[Maker]:
    """Return what makes a daemon for the sides, one for the two of a peer; say which peers are missing."""
    found: list[Maker] = []
    if "ours" in chosen:
        found.append(own_stack)
    if against is not None:
        found.append(partial(own_stack, against, BEFORE))
    if {"xmlrpc", "supervisorctl"} & set(chosen):
        found.append(stock_supervisord)
    for peer, (keys, installed) in _PEERS.items():
        if keys & set(chosen):
            try:
                found.append(installed())
            except peers.Missing as problem:
                say(f"{peer} is left out: {problem}")
    return found
