"""Read recorded events from the API, as clients do, or from the database."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from tests import database
from tests.stack import Api, Stack, eventually

Event = dict[str, Any]


def events(api: Api, id: int | None = None, **query: Any) -> list[Event]:
    """Return all events, of one program or of all, oldest first."""
    route = "events" if id is None else f"programs/{id}/events"
    found: list[Event] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get(route, **{"limit": 1000, **query, **cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["events"]
        if answer.json()["next"] is None:
            return found[::-1]
        cursor = {"cursor": answer.json()["next"]}


def changes(events: Iterable[Event]) -> list[tuple[str, str]]:
    return [(event["from_state"], event["state"]) for event in events]


def until_states(api: Api, id: int, *states: str, timeout: float = 15) -> list[Event]:
    """Wait until a program has gone through exactly these states, and return its events."""

    def there() -> list[Event] | None:
        found = events(api, id)
        return found if tuple(event["state"] for event in found) == states else None

    return eventually(there, timeout, f"the events of program {id} are {states}")  # type: ignore[no-any-return]


def rows(stack: Stack) -> list[dict[str, Any]]:
    """Return the rows of the table, ordered by id."""
    with database.opened(stack.folder) as opened:
        return opened.rows("SELECT * FROM daemon_programs_event ORDER BY id")


def check_chains(events: Iterable[Any]) -> None:
    """Check that each event of a process begins with the state in which the last one ended."""
    by_process: dict[tuple[Any, Any], list[Any]] = {}
    for event in events:
        by_process.setdefault((event["group"], event["port"]), []).append(event)
    for process, chain in by_process.items():
        for before, after in pairwise(chain):
            assert after["from_state"] == before["state"], (process, dict(before), dict(after))
