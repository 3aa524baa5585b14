"""Measure operations in rounds, in which all sides take turns: other load affects them alike."""

import time

from tests.bench.arena import Arena, more_than_usual, rotated
from tests.bench.floors import Floors
from tests.bench.results import Key
from tests.bench.rows import ADD, BETWEEN, REMOVE, Row
from tests.bench.sides.side import Side

# A side that has used up this time takes part in no further round; it is more if more rounds are asked for.
_SIDE_SECONDS = 10.0
_LEAST_ROUNDS = 3
FLOOR = "floor"


def measure_in_rounds(arena: Arena, rounds: int, floors: Floors | None) -> None:
    """Run the rounds, after a first one that is not counted, since first operations are slow."""
    spent: dict[Side, float] = {}
    seconds = _SIDE_SECONDS * more_than_usual(rounds)
    for number in range(rounds + 1):
        arena.say(f"round {number} of {rounds}" if number else "warming up")
        sides = [
            side
            for side in arena.sides
            if number <= min(_LEAST_ROUNDS, rounds) or spent.get(side, 0.0) < seconds
        ]
        _round(arena, [side for side in sides if not arena.has_failed(ADD.key, side)], number, spent)
        if floors is not None:
            for key, value in floors.measure().items():
                if number:
                    arena.results.add(Key(key, FLOOR, arena.size), value)
        arena.watch_memory()


def _round(arena: Arena, sides: list[Side], number: int, spent: dict[Side, float]) -> None:
    """Each side adds a program, does the rest with it, and removes it."""
    there: set[Side] = set()
    for row in (ADD, *BETWEEN, REMOVE):
        is_asked = row.key in arena.rows
        if not is_asked and row not in (ADD, REMOVE):
            continue
        for side in rotated(sides, number):
            if side not in there if row is not ADD else False:
                continue
            begin = time.monotonic()
            if _turn(arena, side, row, number, is_counted=is_asked and number > 0):
                there.add(side)
            else:
                # The whole daemon was restored, with whatever the other side had there.
                there -= set(side.daemon.sides)
            spent[side] = spent.get(side, 0.0) + time.monotonic() - begin


def _turn(arena: Arena, side: Side, row: Row, number: int, *, is_counted: bool) -> bool:
    """Measure one operation; return whether the side can go on in this round."""
    if side not in arena.sides:
        return False
    if not side.can(row.verb) or (row in BETWEEN and arena.has_failed(row.key, side)):
        return True
    program = f"measured-{number}-{arena.sides.index(side)}"

    def run() -> float:
        side.prepare()
        milliseconds = row.measure(side, program, arena.size + 1)
        side.settle()
        return milliseconds

    milliseconds = arena.attempt(row.key, side, run)
    if milliseconds is not None and is_counted:
        arena.add(row.key, side, milliseconds)
    return milliseconds is not None
