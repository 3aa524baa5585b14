"""Operation by operation, size by size, contender by contender, so that noise affects them alike."""

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

from daemon_programs.supervisor.processes.tree import children
from tests.bench.contenders import Contender

OPERATIONS = ("add + start", "list with status", "stop + remove")
_PATIENCE_SECONDS = 60

Key = tuple[str, str, int]  # operation, contender's name, size
Times = dict[Key, list[float]]  # milliseconds of each round


def measure(arenas: dict[int, list[Contender]], rounds: int, report: Callable[[str], None]) -> Times:
    """Run the rounds, after a first one that is not counted, since first operations are slow."""
    times: Times = {}
    for number in range(rounds + 1):
        report(f"round {number} of {rounds}" if number else "warming up")
        counted = times if number else {}
        for operation in OPERATIONS:
            for size, contenders in arenas.items():
                for contender in _rotated(contenders, number):
                    milliseconds = _run(operation, contender, size, f"measured-{number}")
                    contender.settle()
                    counted.setdefault((operation, contender.name, size), []).append(milliseconds)
    return times


def medians(times: Times) -> dict[Key, float]:
    return {key: median(values) for key, values in times.items()}


def _rotated(contenders: list[Contender], number: int) -> Iterable[Contender]:
    """Rotate the order, so that no contender is always first or always follows the same one."""
    first = number % len(contenders)
    return contenders[first:] + contenders[:first]


def _run(operation: str, contender: Contender, size: int, program: str) -> float:
    """Return the milliseconds of one operation, until its process has appeared or gone."""
    before = _children_of(contender)
    if operation == "list with status":
        milliseconds, listed = _timed(contender.list_with_status)
        assert listed == size + 1, f"{contender.name} listed {listed} programs"
        return milliseconds

    def add() -> None:
        contender.add_and_start(program)
        _wait(lambda: _children_of(contender) - before)

    def remove() -> None:
        contender.stop_and_remove(program)
        _wait(lambda: _children_of(contender) < before)

    return _timed(add if operation == "add + start" else remove)[0]


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = action()
    return (time.perf_counter() - begin) * 1000, result


def _children_of(contender: Contender) -> set[int]:
    """Read the process table, which puts no load on a contender."""
    return set(children(contender.supervisord_pid))


def _wait(check: Callable[[], Any]) -> None:
    """Check at shorter intervals than what is measured."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < deadline, "the operation had no effect"
        time.sleep(0.0005)
