"""Hubs of the tests: stacks that have others as their hosts."""

import json
from collections.abc import Mapping
from typing import Any

import psycopg

from tests import database
from tests.stack import Stack, eventually

SHARED = "DAEMON_HUB_DATABASE_URL"
_ADD = """
import json
from fleet import database
from fleet.models import Host
given = json.loads({text!r})
with database.atomic():
    host = Host(
        name=given["name"], url=given["url"], ca=given["ca"], labels=given["labels"], added_by="admin"
    )
    host.token = given["token"]
    host.full_clean(exclude=["sealed_token"])
    host.save()
"""
_REMOVE = "from fleet.models import Host; Host.objects.get(name={name!r}).delete()"


def add_host(
    hub: Stack, host: Stack, name: str, *, labels: Mapping[str, str] | None = None, **changed: str
) -> None:
    """Add a stack, with its administrator's token, to the hosts of another; ``changed`` are other values."""
    given = {"name": name, "url": host.url, "ca": "", "token": host.token, "labels": dict(labels or {})}
    run(hub, _ADD.format(text=json.dumps({**given, **changed})))


def remove_host(hub: Stack, name: str) -> None:
    run(hub, _REMOVE.format(name=name))


def run(hub: Stack, script: str) -> str:
    """Run a script that has the hub's models, and return what it prints."""
    done = hub.manage("shell", "-v", "0", "-c", script)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(hub: Stack, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    """Return rows of the database that has the hosts: the hub's own, or one that hubs share."""
    if url := hub.environment.get(SHARED):
        with psycopg.connect(url) as connection:
            return database.Database(connection).rows(sql, parameters)
    with database.opened(hub.folder) as opened:
        return opened.rows(sql, parameters)


def link(hub: Stack, name: str) -> dict[str, Any]:
    """Return how it stands with the link to a host; nothing while it has never been followed."""
    found = rows(
        hub, "SELECT l.* FROM fleet_link l JOIN fleet_host h ON h.id = l.host_id WHERE h.name = ?", name
    )
    return found[0] if found else {}


def until_current(hub: Stack, *names: str, timeout: float = 20) -> None:
    """Wait until what the hub knows of its hosts is current."""
    for name in names:
        eventually(lambda name=name: link(hub, name).get("state") == "current", timeout, f"{name} is current")


def programs(hub: Stack, name: str) -> dict[str, str]:
    """Return the states of a host's programs, by their names, as the hub knows them."""
    found = rows(
        hub,
        "SELECT p.name, p.state FROM fleet_followedprogram p JOIN fleet_host h ON h.id = p.host_id"
        " WHERE h.name = ?",
        name,
    )
    return {row["name"]: row["state"] for row in found}


def events(hub: Stack, name: str) -> list[int]:
    """Return the host's numbers of the events that the hub has of it, in the order of recording."""
    found = rows(
        hub,
        "SELECT e.number FROM fleet_followedevent e JOIN fleet_host h ON h.id = e.host_id"
        " WHERE h.name = ? ORDER BY e.id",
        name,
    )
    return [row["number"] for row in found]
