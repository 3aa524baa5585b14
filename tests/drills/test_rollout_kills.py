"""A roll-out over 20 simulated hosts, while the hub's queue, Redis and PostgreSQL are killed in turn.

Each is away for ten seconds but the queue, which supervisord starts again at once. Each host is changed once.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
import requests

from tests.drills import ROUNDS
from tests.fleet.held_links import add_held_hosts
from tests.fleet.rollout_hosts import SimulatedHost
from tests.servers import MISSING, Postgresql, Redis, are_installed, running
from tests.stack import Stack, eventually, temporary_stack
from tests.temporary_programs import own_processes

pytestmark = [
    pytest.mark.skipif(ROUNDS < 2, reason="it takes minutes; DRILL_ROUNDS=2 or more"),
    pytest.mark.skipif(not are_installed(), reason=MISSING),
]

HOSTS = 20
AWAY_SECONDS = 10


@pytest.fixture
def hosts() -> Iterator[list[SimulatedHost]]:
    made = [SimulatedHost(f"web-{number:02}", seconds=0.5) for number in range(HOSTS)]
    yield made
    for host in made:
        host.shutdown()
        host.server_close()


def rollout_of(hub: Stack, id: int) -> dict[str, Any]:
    """The roll-out, once it can be read: the database may be away, or the API on its way back."""

    def look() -> dict[str, Any] | None:
        try:
            answer = hub.api.get(f"fleet/rollouts/{id}")
        except requests.RequestException:
            return None
        return answer.json()["rollout"] if answer.ok else None

    found: dict[str, Any] = eventually(look, 60, "the roll-out can be read")
    return found


def test_each_host_is_changed_once_whatever_is_killed(hosts: list[SimulatedHost]) -> None:
    with ExitStack() as servers:
        postgresql = servers.enter_context(running(Postgresql))
        redis = servers.enter_context(running(Redis))
        with psycopg.connect(f"{postgresql.url}/postgres", autocommit=True) as server:
            server.execute("CREATE DATABASE hub")
        hub = servers.enter_context(
            temporary_stack(
                is_set_up=False,
                DAEMON_DATABASE_URL=f"{postgresql.url}/hub",
                DAEMON_BROKER_URL=f"{redis.url}/0",
            )
        )
        hub.start()
        # Simulated hosts tell followers nothing: they would count as lost.
        add_held_hosts(hub, {host.name: {"url": host.url, "token": "hdt_simulated"} for host in hosts})
        for host in hosts:
            host.add("web")
        body = {"hosts": {"all": True}, "action": "restart", "select": {"all": True}, "at_once": 2}
        began = time.monotonic()
        id = hub.api.ok("fleet/batch", body)["rollout"]["id"]
        for enough, server in ((3, None), (6, redis), (10, postgresql), (14, None)):
            eventually(
                lambda enough=enough: rollout_of(hub, id)["counts"]["succeeded"] >= enough,
                120,
                f"{enough} hosts",
            )
            if server is None:
                [queue] = [
                    each for each in own_processes(hub, "scheduler") if each.ppid() == hub.supervisord_pid
                ]
                queue.kill()
            else:
                server.stop()
                time.sleep(AWAY_SECONDS)
                server.start()
        ended = eventually(lambda: "ended_at" in (found := rollout_of(hub, id)) and found, 180, "the end")
        print(f"{HOSTS} hosts in {time.monotonic() - began:.0f} s, with four kills")
        assert (ended["state"], ended["counts"]["succeeded"]) == ("succeeded", HOSTS), ended["parts"]
        assert [host.done for host in hosts] == [["restart"]] * HOSTS
