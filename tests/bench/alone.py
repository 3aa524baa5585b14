"""Boot, stop and the statistics of all trees, while no other contender's programs are there.

A contender that reads the process table, for statistics or to end a tree, would see the others' programs too.
"""

import time

from tests.bench.arena import Arena, more_than_usual, rotated
from tests.bench.processes import timed
from tests.bench.rows import STATS
from tests.bench.sides.side import Daemon, Side

ROWS = {"boot", "stop", STATS.key}
# A daemon that has used up this time is not booted again; it is more if more rounds are asked for.
_DAEMON_SECONDS = 30.0
_LAPS = 3
_STATS = 5
_STATS_SECONDS = 5.0


def set_up(arena: Arena) -> None:
    """Start all daemons with their programs, one after the other."""
    for daemon in list(arena.daemons):
        arena.say(f"setting up {daemon.name}")
        try:
            daemon.set_up(arena.size)
        except Exception as problem:
            daemon.end()
            arena.lose(daemon, f"{type(problem).__name__}: {problem}")


def measure_alone(arena: Arena, rounds: int) -> None:
    """Stop all daemons, and boot them one at a time, in turns; afterwards all run again."""
    laps = min(_LAPS, rounds)
    seconds = _DAEMON_SECONDS * more_than_usual(rounds)
    for daemon in list(arena.daemons):
        arena.say(f"stopping {daemon.name}")
        _whole(arena, daemon, "stop")
    spent = dict.fromkeys(arena.daemons, 0.0)
    for lap in range(laps):
        for daemon in rotated(list(arena.daemons), lap):
            if daemon in arena.daemons and spent[daemon] < seconds:
                arena.say(f"boot {lap + 1} of {laps}: {daemon.name}")
                begin = time.monotonic()
                _lap(arena, daemon)
                spent[daemon] += time.monotonic() - begin
    for daemon in list(arena.daemons):
        arena.say(f"starting {daemon.name}")
        arena.attempt("boot", daemon, daemon.boot)


def _lap(arena: Arena, daemon: Daemon) -> None:
    """Boot it, measure what is measured alone, and stop it."""
    _whole(arena, daemon, "boot")
    for side in daemon.sides:
        if daemon in arena.daemons and side in arena.sides and side.can(STATS.verb):
            _stats(arena, side)
    if daemon in arena.daemons:
        _whole(arena, daemon, "stop")


def _whole(arena: Arena, daemon: Daemon, key: str) -> None:
    """Boot or stop it; one that has failed to stop once is ended."""
    is_stop = key == "stop"
    if not (is_stop and arena.has_failed(key, daemon)):
        action = daemon.stop if is_stop else daemon.boot
        milliseconds = arena.attempt(key, daemon, lambda: timed(action), restores=not is_stop)
        if milliseconds is not None and key in arena.rows:
            arena.add(key, daemon, milliseconds / 1000)
    if is_stop:
        daemon.end()


def _stats(arena: Arena, side: Side) -> None:
    """Measure a few times, after a first one that is not counted."""
    begin = time.monotonic()
    for number in range(_STATS + 1):
        if STATS.key not in arena.rows or arena.has_failed(STATS.key, side):
            return
        milliseconds = arena.attempt(STATS.key, side, lambda: _prepared(arena, side))
        is_slow = time.monotonic() - begin > _STATS_SECONDS
        if milliseconds is not None and (number or is_slow):
            arena.add(STATS.key, side, milliseconds)
        if is_slow:
            return


def _prepared(arena: Arena, side: Side) -> float:
    side.prepare()
    return STATS.measure(side, "", arena.size)
