"""A hub with hosts for the tests of its API and its console: rows as a follower would have written them."""

import contextlib
from collections.abc import Iterator

from tests.fleet import hubs
from tests.stack import Stack

# The stack itself is one of its hosts, so that it can be asked. What was heard of it stays current for long.
# The leases are held, so that no follower hears anything else.
_TELL = """
from datetime import timedelta
from django.utils import timezone
from fleet import database
from fleet.models import FollowedEvent, FollowedProgram, Host, HostUsage, Link
now = timezone.now()
machine = {{"cpus": 4, "load_1m": 0.4, "memory_total_bytes": 8 * 2**30, "memory_available_bytes": 5 * 2**30}}
for name, state, age, error in [
    ("self", "current", -3600, ""), ("lost", "lost", 180, "Host 'lost' can't be reached: Connection refused")
]:
    url = {url!r} if state == "current" else "http://127.0.0.1:9"
    host = Host(name=name, url=url, labels={{"role": name}})
    host.token = {token!r}
    with database.atomic():
        Host.objects.bulk_create([host])  # without signals
        Link.objects.create(
            host=host, state=state, error=error, heard_at=now - timedelta(seconds=age), version="1.0.0",
            machine=machine, holder="test", held_until=now + timedelta(hours=1))
    for id, name, word in [
            ({id}, "followed", "stopped"), (10**6, "worker", "running"), (10**6 + 1, "broken", "fatal")]:
        document = {{"id": id, "name": name, "command": "sleep 1", "environment": {{"API_TOKEN": "x"}},
                    "labels": {{"team": "shop"}}, "status": {{"id": id, "status": word}}}}
        if word == "running":
            document["status"] |= {{"pid": 4711, "uptime": "2:15:30"}}
        FollowedProgram.objects.create(
            host=host, program_id=id,
            name=name, state=word, enabled=True, document=document, labels={{"team": "shop"}},
            cpu_percent=12.5 if word == "running" else None,
            memory_bytes=2**26 if word == "running" else None)
        FollowedEvent.objects.create(
            host=host, number=10**9 + id, at=now, program_id=id, name=name, state=word, document={{
                "id": 1, "name": name, "program_id": id, "from_state": "starting", "state": word, "by": "api",
                "user": "hub for alice", "gap": False}})
    for minute in range(20):
        HostUsage.objects.create(
            host=host, minute=(now - timedelta(minutes=20 - minute)).replace(second=0, microsecond=0),
            cpu_percent=10.0 + minute, memory_bytes=2**26, programs={{str(10**6): [10.0 + minute, 2**26]}})
"""
_CHANGE = """
from fleet.models import FollowedProgram
found = FollowedProgram.objects.get(host__name="self", program_id={id})
found.state = {state!r}
found.save()
"""
_HEAR = """
from django.utils import timezone
from fleet import database
from fleet.models import FollowedEvent, Host
with database.recording():
    FollowedEvent.objects.create(
        host=Host.objects.get(name="self"), number={number}, at=timezone.now(), program_id=1, name="web",
        state="exited", document={{"id": {number}, "state": "exited"}})
"""


@contextlib.contextmanager
def hub(stack: Stack, id: int) -> Iterator[Stack]:
    """Make a stack a hub of itself and of a host that is lost; ``id`` is that of its program "followed"."""
    hubs.run(stack, _TELL.format(id=id, url=stack.url, token=stack.token))
    try:
        yield stack
    finally:
        for name in ("self", "lost"):
            hubs.remove_host(stack, name)
        (stack.folder / "hosts-key").unlink()  # then it is as if there had never been a host


def hear(stack: Stack, number: int) -> None:
    """Have the hub hear of an event of its host."""
    hubs.run(stack, _HEAR.format(number=number))


def change(stack: Stack, id: int, state: str) -> None:
    """Have the hub hear that a program of its host is in another state."""
    hubs.run(stack, _CHANGE.format(id=id, state=state))


def page_of(stack: Stack, name: str) -> str:
    """Return the address of the page of a program of the lost host."""
    (row,) = hubs.rows(
        stack,
        "SELECT p.id FROM fleet_followedprogram p JOIN fleet_host h ON h.id = p.host_id"
        " WHERE h.name = 'lost' AND p.name = ?",
        name,
    )
    return f"/admin/fleet/followedprogram/{row['id']}/change/"
