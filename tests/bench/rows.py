"""The operations that are measured in rounds: the calls, and when each is over."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.processes import timed
from tests.bench.sides.side import Side, new_process, one_process_less

# A program that has lived for so long is running for every contender.
_RUNNING_SECONDS = 1.2


@dataclass(frozen=True)
class Row:
    key: str
    verb: str  # the method of a side that it needs
    measure: Callable[
        [Side, str, int], float
    ]  # the side, its program, how many it must list at least: milliseconds


def _add(side: Side, program: str, least: int) -> float:
    def add() -> None:
        with new_process(side.daemon):
            side.add_and_start(program)

    return timed(add)


def _list(side: Side, program: str, least: int) -> float:
    return _counted(side.list_with_status, least)


def _stats(side: Side, program: str, least: int) -> float:
    return _counted(side.list_with_stats, least)


def _status(side: Side, program: str, least: int) -> float:
    return _counted(side.status_of_all, least)


def _counted(listing: Callable[[], int], least: int) -> float:
    found: list[int] = []
    milliseconds = timed(lambda: found.append(listing()))
    if found[0] < least:
        raise RuntimeError(f"{found[0]} of {least} programs were listed")
    return milliseconds


def _one(side: Side, program: str, least: int) -> float:
    return timed(lambda: side.status_of_one(program))


def _restart(side: Side, program: str, least: int) -> float:
    def restart() -> None:
        with new_process(side.daemon):
            side.restart(program)

    return timed(restart)


def _event(side: Side, program: str, least: int) -> float:
    """Kill a program of its own, and wait until the listener knows."""
    ending = f"{program}-ending"
    with new_process(side.daemon) as find:
        side.add_and_start(ending)
    (pid,) = find()
    time.sleep(_RUNNING_SECONDS)
    try:
        with side.events(ending) as wait_for_the_end:

            def end() -> None:
                os.kill(pid, signal.SIGKILL)
                wait_for_the_end()

            return timed(end)
    finally:
        side.stop_and_remove(ending)


def _wait(side: Side, program: str, least: int) -> float:
    return timed(side.run_to_its_end)


def _quick(side: Side, program: str, least: int) -> float:
    started: list[str] = []

    def start() -> None:
        with new_process(side.daemon):
            started.append(side.quick_start())

    milliseconds = timed(start)
    with one_process_less(side.daemon):
        side.quick_stop(started[0])
    return milliseconds


def _remove(side: Side, program: str, least: int) -> float:
    def remove() -> None:
        with one_process_less(side.daemon):
            side.stop_and_remove(program)

    return timed(remove)


ADD = Row("add", "add_and_start", _add)
REMOVE = Row("remove", "stop_and_remove", _remove)
STATS = Row("stats", "list_with_stats", _stats)
# In the order of a round, between adding a program and removing it
BETWEEN = (
    Row("list", "list_with_status", _list),
    Row("status", "status_of_all", _status),
    Row("one", "status_of_one", _one),
    Row("restart", "restart", _restart),
    Row("event", "events", _event),
    Row("wait", "run_to_its_end", _wait),
    Row("quick", "quick_start", _quick),
)
