"""What the tables show: the figures by section, with their titles and units."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    key: str  # of the results
    title: str
    row: str  # what chooses it with --rows
    digits: int = 1


OPERATIONS = "Operations, median ms"
WHOLE = "All programs together"
LOAD = "Under load"
FLOORS = "Floors, median ms"

_ROUTES = {"one": "status of one", "all": "list without status"}
CLIENTS = (1, 16)


def load_key(route: str, clients: int, what: str) -> str:
    return f"load-{route}-{clients}-{what}"


SECTIONS: dict[str, tuple[Figure, ...]] = {
    OPERATIONS: (
        Figure("add", "add + start", "add"),
        Figure("list", "list with status", "list"),
        Figure("stats", "list with stats of all trees", "stats"),
        Figure("status", "status of all", "status"),
        Figure("one", "status of one", "one"),
        Figure("restart", "restart", "restart"),
        Figure("remove", "stop + remove", "remove"),
        Figure("event", "exit → event on a stream", "event"),
        Figure("wait", 'quick start of `true`, `wait: "exit"`', "wait"),
        Figure("quick", "quick start → it runs", "quick"),
    ),
    WHOLE: (
        Figure("boot", "boot until the last runs, s", "boot", 2),
        Figure("stop", "stop of everything, s", "stop", 2),
        Figure("memory", "memory when idle, MB", "memory"),
        Figure("peak", "highest memory seen, MB", "memory"),
        Figure("cpu", "CPU when idle, % of a core", "cpu", 2),
    ),
    LOAD: tuple(
        Figure(
            load_key(route, clients, what), f"{title}, {clients} client{'s'[: clients > 1]}: {unit}", "load"
        )
        for route, title in _ROUTES.items()
        for clients in CLIENTS
        for what, unit in (("rate", "requests/s"), ("p50", "p50 ms"), ("p99", "p99 ms"))
    ),
    FLOORS: (
        Figure("fork", "fork + exec of `sleep`", "floors", 2),
        Figure("call", "one supervisord call", "floors", 2),
        Figure("request", "one empty Django request", "floors", 2),
        Figure("commit", "one SQLite commit", "floors", 2),
    ),
}
ROWS = tuple(dict.fromkeys(figure.row for figures in SECTIONS.values() for figure in figures))
