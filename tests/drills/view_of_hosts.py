"""What hubs show of hosts, compared with what the hosts say themselves."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

import psycopg
import requests

from tests.drills.network_faults import World
from tests.stack import Stack

HEALED_SECONDS = 10
_PATIENCE_SECONDS = 90  # until a view is given up that is not right in time
_ANSWER_SECONDS = 5
_EVENTS = (
    "SELECT e.document FROM fleet_followedevent e JOIN fleet_host h ON h.id = e.host_id"
    " WHERE h.name = %s AND e.number > %s ORDER BY e.id"
)
_LINKS = "SELECT h.name, l.state FROM fleet_link l JOIN fleet_host h ON h.id = l.host_id"


class View:
    """The programs that each hub shows, and the events that their database has."""

    def __init__(self, world: World) -> None:
        self._world = world
        # By host: the events up to this one have been compared, and need not be each time.
        self._compared = dict.fromkeys(world.hosts, 0)

    def until_right(self) -> float:
        """Wait until all hubs show all hosts as they are; return after how many seconds they did."""
        return _until_none(lambda: self._differences(self._world.hosts, self._world.hubs), _PATIENCE_SECONDS)

    def until_noticed(self, hit: Collection[object]) -> None:
        """Wait until hubs that no fault hits show the hosts that one hits as lost, all others as they are."""
        lost = {name for name, host in self._world.hosts.items() if host in hit}
        reached = {name: host for name, host in self._world.hosts.items() if name not in lost}
        hubs = [hub for hub in self._world.hubs if hub not in hit]

        def differences() -> Iterator[str]:
            yield from (f"{name} is not lost" for name in lost if self._links().get(name) != "lost")
            yield from self._differences(reached, hubs)

        _until_none(differences, HEALED_SECONDS)

    def compare_all_events(self) -> None:
        """Look at the whole histories, not only at what was added since the last look."""
        self._compared = dict.fromkeys(self._world.hosts, 0)
        self.until_right()

    def _differences(self, hosts: dict[str, Stack], hubs: list[Stack]) -> Iterator[str]:
        real = {name: _programs(host) for name, host in hosts.items()}
        for number, hub in enumerate(hubs):
            shown = _shown(hub)
            for name in hosts:
                if shown[name] != real[name]:
                    yield f"hub {number} shows {name} as {shown[name]}, and it is {real[name]}"
        links = self._links()
        yield from (f"the link to {name} is {links.get(name)}" for name in hosts if links[name] != "current")
        for name, host in hosts.items():
            yield from self._event_differences(name, host)

    def _event_differences(self, name: str, host: Stack) -> Iterator[str]:
        after = self._compared[name]
        shown = [document for (document,) in self._rows(_EVENTS, name, after)]
        # A hub has not asked for all events of the time before it knew the host.
        first = shown[0]["id"] if shown else 0
        real = [event for event in _events(host, after) if after or event["id"] >= first]
        if shown != real:
            yield f"{name} has the events {_numbers(real)}, shown are {_numbers(shown)}"
        elif shown:
            self._compared[name] = shown[-1]["id"]

    def _links(self) -> dict[str, str]:
        return dict(self._rows(_LINKS))

    def _rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(f"{self._world.postgresql.url}/hub") as connection:
            return connection.execute(sql, parameters).fetchall()


def _until_none(differences: Callable[[], Iterator[str]], seconds: float) -> float:
    """Wait until there are no differences; return how long it took."""
    began = time.monotonic()
    while True:
        try:
            found = list(differences())
        except (requests.RequestException, psycopg.Error, KeyError) as problem:
            found = [repr(problem)]
        took = time.monotonic() - began
        if not found:
            return took
        assert took < seconds, "\n".join(["still different:", *found])
        time.sleep(0.1)


def _programs(host: Stack) -> dict[str, Any]:
    """Return the documents of a host's programs by name, without what changes all the time."""
    return {
        each["name"]: _lasting(each) for each in _asked(host, "programs", include_status="true")["programs"]
    }


def _shown(hub: Stack) -> dict[str, dict[str, Any]]:
    """Return the same of all hosts, as a hub shows them."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in _asked(hub, "fleet/programs", limit="1000")["programs"]:
        found[row["host"]][row["program"]["name"]] = _lasting(row["program"])
    return found


def _lasting(document: dict[str, Any]) -> dict[str, Any]:
    status = {name: value for name, value in document["status"].items() if name in ("status", "pid")}
    return {**document, "status": status}


def _events(host: Stack, after: int) -> list[dict[str, Any]]:
    """Return the events of a host after one, oldest first."""
    found: list[dict[str, Any]] = []
    query: dict[str, str] = {"limit": "200"}
    while True:
        page = _asked(host, "events", **query)
        found += page["events"]
        if not page["next"] or found[-1]["id"] <= after:
            return [event for event in reversed(found) if event["id"] > after]
        query["cursor"] = page["next"]


def _numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["id"] for event in events]


def _asked(stack: Stack, route: str, **query: str) -> dict[str, Any]:
    api = stack.api
    with contextlib.closing(api.session) as session:
        answer = session.get(f"{api.base}/{route}", params=query, timeout=_ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.json()  # type: ignore[no-any-return]
