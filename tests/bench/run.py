"""The whole run: size by size, first each contender alone, then all together."""

import contextlib
import resource
import signal
from collections.abc import Collection, Iterator, Sequence

from tests.bench import alone
from tests.bench.arena import Arena, Say
from tests.bench.floors import Floors, floors
from tests.bench.loaded import measure_under_load
from tests.bench.results import Results
from tests.bench.rounds import measure_in_rounds
from tests.bench.rows import ADD, BETWEEN, REMOVE
from tests.bench.sides import Maker

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # background jobs ignore the first
_IN_ROUNDS = {"floors", *(row.key for row in (ADD, *BETWEEN, REMOVE))}


def run(
    makers: Sequence[Maker],
    names: Collection[str],
    sizes: Sequence[int],
    rows: Collection[str],
    rounds: int,
    say: Say,
    **seconds: float,
) -> Results:
    """Measure; ``seconds`` are those of the arena."""
    _allow_many_files()
    results = Results()
    for size in sizes:
        running = contextlib.ExitStack()
        try:
            found = running.enter_context(floors()) if "floors" in rows else None
            daemons = [running.enter_context(make()) for make in makers]
            _measure(Arena(size, daemons, names, rows, results, say, **seconds), rounds, found)
        finally:
            say(f"{size} programs: stopping everything")
            with _undisturbed():
                running.close()
    return results


def _measure(arena: Arena, rounds: int, found: Floors | None) -> None:
    alone.set_up(arena)
    if alone.ROWS & set(arena.rows):
        alone.measure_alone(arena, rounds)
    if {"cpu", "memory"} & set(arena.rows):
        arena.measure_idle()
    if _IN_ROUNDS & set(arena.rows):
        measure_in_rounds(arena, rounds, found)
    if "load" in arena.rows:
        measure_under_load(arena)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep a Ctrl-C waiting: it must not interrupt the clean-up."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _allow_many_files() -> None:
    """A supervisor has several descriptors for each program: each may have all that are allowed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
