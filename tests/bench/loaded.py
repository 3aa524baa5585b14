"""Put load on the sides that are HTTP servers, in turns."""

from collections.abc import Callable

from tests.bench.arena import Arena, rotated
from tests.bench.figures import CLIENTS, load_key
from tests.bench.load import Load, generate
from tests.bench.sides.side import Request, Side, new_process, one_process_less

_PROGRAM = "loaded"


def measure_under_load(arena: Arena) -> None:
    sides = [side for side in arena.sides if side.can("request_for_one")]
    for side in sides:
        arena.attempt("load", side, lambda side=side: _add(side))  # type: ignore[misc]
    routes: dict[str, Callable[[Side], Request]] = {
        "one": lambda side: side.request_for_one(_PROGRAM),
        "all": lambda side: side.request_for_all(),
    }
    for number, (route, request) in enumerate(routes.items()):
        for clients in CLIENTS:
            for side in rotated(sides, number):
                if side in arena.sides and not arena.has_failed("load", side):
                    arena.say(f"load by {clients} on {side.name}")
                    _load(arena, side, route, clients, request)
    arena.watch_memory()
    for side in sides:
        if side in arena.sides and not arena.has_failed("load", side):
            arena.attempt("load", side, lambda side=side: _remove(side))  # type: ignore[misc]


def _load(arena: Arena, side: Side, route: str, clients: int, request: Callable[[Side], Request]) -> None:
    key = load_key(route, clients, "rate")
    found: Load | None = arena.attempt(
        key, side, lambda: generate(request(side), clients, arena.load_seconds)
    )
    if found is not None:
        for what, value in found._asdict().items():
            arena.add(load_key(route, clients, what), side, value)


def _add(side: Side) -> None:
    side.prepare()
    with new_process(side.daemon):
        side.add_and_start(_PROGRAM)
    side.settle()


def _remove(side: Side) -> None:
    side.prepare()
    with one_process_less(side.daemon):
        side.stop_and_remove(_PROGRAM)
    side.settle()
