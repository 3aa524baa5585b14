"""Two hubs that share their hosts through a database: each host is followed by one, and never by none.

The clock of the first one is a minute ahead, where there is a compiler for that.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import psycopg
import pytest
from cryptography.fernet import Fernet

from fleet import database as hub_database
from hoody_site.stack import database as stack_database
from tests import shifted_clock
from tests.fleet import hubs
from tests.processes import LONG_RUNNING
from tests.servers import MISSING, Postgresql, are_installed, running
from tests.stack import Stack, eventually, temporary_stack
from tests.temporary_programs import own_processes

NAMES = ("web-1", "web-2")
AGAIN_SECONDS = 10.0
AHEAD_SECONDS = 60


class Site:
    """Two hubs, and one daemon that both know by two names."""

    def __init__(self, postgresql: Postgresql, hubs: list[Stack], host: Stack) -> None:
        self.postgresql, self.hubs, self.host = postgresql, hubs, host
        self.program = host.api.add(name="worker")

    def turn(self) -> None:
        api = self.host.api
        verb = "stop" if api.word(self.program) == "running" else "start"
        api.ok(f"programs/{self.program}/{verb}")

    def holders(self) -> Counter[str]:
        found = hubs.rows(
            self.hubs[0], "SELECT holder FROM fleet_link WHERE held_until > statement_timestamp()"
        )
        return Counter(row["holder"] for row in found)

    def end_leases_of_parts(self) -> None:
        """Let the time of the leases of roll-outs pass: a test does not wait for half a minute."""
        with psycopg.connect(self.hubs[0].environment[hubs.SHARED]) as connection:
            connection.execute("UPDATE fleet_rolloutpart SET held_until = now() WHERE held_until > now()")

    def is_right(self, *names: str) -> bool:
        recorded = [event["id"] for event in self.host.api.get("events", limit=1000).json()["events"]][::-1]
        word = self.host.api.word(self.program)
        return all(
            hubs.programs(self.hubs[0], name).get("worker") == word
            and hubs.events(self.hubs[0], name) == recorded
            for name in names
        )

    def until_right(self, *names: str) -> None:
        eventually(lambda: self.is_right(*(names or NAMES)), AGAIN_SECONDS, "the view is right")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not are_installed():
        pytest.skip(MISSING)
    key = tmp_path_factory.mktemp("key") / "hosts-key"
    key.write_bytes(Fernet.generate_key())
    with ExitStack() as made:
        postgresql = made.enter_context(running(Postgresql))
        name = f"hosts_{secrets.token_hex(4)}"
        with psycopg.connect(f"{postgresql.url}/postgres", autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}".encode())
        environment = {hubs.SHARED: f"{postgresql.url}/{name}", "DAEMON_HOSTS_KEY_FILE": str(key)}
        host = made.enter_context(temporary_stack())
        clock = shifted_clock.environment(key.parent, AHEAD_SECONDS) if shifted_clock.is_possible() else {}
        both = [made.enter_context(temporary_stack(**environment, **wrong)) for wrong in (clock, {})]
        for stack in (host, *both):
            stack.start()
        yield Site(postgresql, both, host)


def test_hubs_share_their_hosts(site: Site) -> None:
    for name in NAMES:
        hubs.add_host(site.hubs[0], site.host, name)
    hubs.until_current(site.hubs[0], *NAMES)
    hubs.run(site.hubs[1], "from fleet.tasks import follow_hosts; follow_hosts()")  # as its queue does
    eventually(lambda: sorted(site.holders().values()) == [1, 1], 20, "each holds one")
    site.turn()
    site.until_right()
    for hub in site.hubs:
        shown = hub.api.get("hosts").json()["hosts"] + hub.api.get("fleet/status").json()["hosts"]
        assert {host["state"] for host in shown} == {"current"}
        assert max(host["age_seconds"] for host in shown) < AHEAD_SECONDS / 2


def queue_of(hub: Stack) -> psutil.Process:
    [main] = [each for each in own_processes(hub, "scheduler") if each.ppid() == hub.supervisord_pid]
    return main


def held_part(site: Site) -> dict[str, Any] | None:
    """The part of a roll-out that a worker has sent, and holds the lease of."""
    found = hubs.rows(
        site.hubs[0],
        "SELECT host, holder, extract(epoch FROM held_until - statement_timestamp()) AS seconds"
        " FROM fleet_rolloutpart WHERE sent_at IS NOT NULL AND held_until > statement_timestamp()",
    )
    return found[0] if found else None


def test_hosts_and_roll_outs_of_a_hub_that_dies_are_taken_over_and_nothing_is_lost(site: Site) -> None:
    site.turn()
    site.until_right()
    id = site.host.api.add(LONG_RUNNING, name="rolled", start_seconds=2)
    survivor, dying = site.hubs
    queue = queue_of(survivor)
    queue.suspend()  # so it is the other one that begins
    body = {"hosts": {"names": list(NAMES)}, "action": "restart", "select": {"names": ["rolled"]}}
    rollout = dying.api.ok("fleet/batch", body)["rollout"]["id"]
    held = eventually(lambda: held_part(site), 20, "a request has been sent")
    [follower] = own_processes(dying, "follower")
    killed = [follower, queue_of(dying)]
    for process in killed:
        process.suspend()  # or it would give back what it holds
    dying.kill_supervisord()
    for process in killed:
        process.kill()
    queue.resume()
    site.turn()
    eventually(lambda: list(site.holders().values()) == [2], AGAIN_SECONDS, "the other one has both")
    site.until_right()
    still = held_part(site)
    assert still is not None, "it is not taken before its lease ends"
    assert (still["holder"], 0 < still["seconds"] < 34) == (held["holder"], True)
    site.end_leases_of_parts()

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = survivor.api.get(f"fleet/rollouts/{rollout}").json()["rollout"]
        return found if "ended_at" in found else None

    done = eventually(ended, 30, "the roll-out goes on")
    assert (done["state"], [part["attempts"] for part in done["parts"]]) == ("succeeded", [1, 1])
    events = site.host.api.get(f"programs/{id}/events").json()["events"]
    assert [event["state"] for event in events].count("starting") == 2, "each host was changed once"


REMOVE_WHILE_A_FOLLOWER_WRITES = """
import threading
from django.db import IntegrityError, connections
from fleet.database import alias
from fleet.models import FollowedProgram, Host
from fleet.registry import hosts
from types import SimpleNamespace
from django.contrib.admin import site
from django.contrib.auth.models import User
from fleet.admin.hosts import HostAdmin

def follow():
    try:
        FollowedProgram.objects.create(
            host_id=id, program_id=1, name="late", enabled=True, state="running", labels={{}}, document={{}}
        )
    except IntegrityError:
        print("refused")
    connections.close_all()

def interrupt(execute, sql, *arguments):
    if sql.startswith('DELETE FROM "fleet_host"'):
        follower.start()
        follower.join(1)
    return execute(sql, *arguments)

id = Host.objects.get(name={name!r}).pk
follower = threading.Thread(target=follow)
admin, request = HostAdmin(Host, site), SimpleNamespace(user=User(username="admin"))
with connections[alias()].execute_wrapper(interrupt):
    {remove}
follower.join()
print("removed", not Host.objects.filter(pk=id).exists())
"""


@pytest.mark.parametrize(
    "remove",
    [
        'hosts.remove_host("brief", user="admin")',
        "admin.delete_model(request, Host.objects.get(pk=id))",
        "admin.delete_queryset(request, Host.objects.filter(pk=id))",
    ],
)
def test_host_is_removed_while_another_process_writes_of_it(site: Site, remove: str) -> None:
    hubs.add_host(site.hubs[0], site.host, "brief", url="http://127.0.0.1:9")
    printed = hubs.run(site.hubs[0], REMOVE_WHILE_A_FOLLOWER_WRITES.format(name="brief", remove=remove))
    assert printed.splitlines() == ["refused", "removed True"]


def test_hosts_are_served_beside_an_embedded_database(site: Site) -> None:
    api = site.hubs[0].api
    assert {each["name"] for each in api.get("hosts").json()["hosts"]} == set(NAMES)
    assert api.get("fleet/status").status_code == 200


def test_nothing_is_lost_while_the_database_is_away(site: Site) -> None:
    site.postgresql.stop()
    site.turn()
    assert site.hubs[0].api.get("programs").ok
    site.postgresql.start()
    site.turn()
    site.until_right()


def test_database_of_a_later_version_is_refused(site: Site) -> None:
    with psycopg.connect(site.hubs[0].environment[hubs.SHARED]) as connection:
        insert = "INSERT INTO django_migrations (app, name, applied) VALUES ('fleet', '9999_later', now())"
        connection.execute(insert)
    script = "from hoody_site.stack.database import prepare_hub; prepare_hub(print)"
    assert "has fleet 9999_later): run that version" in hubs.run(site.hubs[0], script)


def test_without_the_shared_database_the_own_one_has_the_tables(site: Site) -> None:
    hub = site.hubs[1]  # which is dead
    kept = {name: hub.environment.pop(name) for name in (hubs.SHARED, "DAEMON_HOSTS_KEY_FILE")}
    try:
        hubs.run(hub, "from hoody_site.stack.database import migrate; migrate()")
        assert hubs.rows(hub, "SELECT * FROM fleet_host") == []
    finally:
        hub.environment.update(kept)


def test_stack_says_so_and_starts_if_the_shared_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise hub_database.DatabaseError("connection\n refused")

    monkeypatch.setattr(hub_database, "prepare", away)
    said: list[str] = []
    stack_database.prepare_hub(said.append)
    [sentence] = said
    assert sentence.startswith(
        "The database of DAEMON_HUB_DATABASE_URL can't be reached (connection refused)"
    )
    assert "the programs of this stack run all the same" in sentence
