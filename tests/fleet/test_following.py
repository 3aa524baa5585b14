"""A hub and a host, both real: the view follows the host, whatever is killed, and each event comes once."""

import time
from collections.abc import Iterator

import psutil
import pytest

from tests.fleet import hubs
from tests.stack import Stack, eventually, temporary_stack
from tests.temporary_programs import own_processes

NAME = "web-1"
AGAIN_SECONDS = 10.0  # within which the view is right again


class Pair:
    """A hub, its host, and a program of the host."""

    def __init__(self, hub: Stack, host: Stack) -> None:
        self.hub, self.host = hub, host
        self.program = host.api.add(name="worker")

    def turn(self) -> None:
        """Have the program change its state, so that there are events."""
        api = self.host.api
        verb = "stop" if api.word(self.program) == "running" else "start"
        api.ok(f"programs/{self.program}/{verb}")

    def recorded(self) -> list[int]:
        """The numbers of the events that the host has."""
        found = self.host.api.get("events", limit=1000).json()["events"]
        return [event["id"] for event in found][::-1]

    def is_right(self) -> bool:
        """Whether the hub knows the host's states, and each of its events once."""
        shown = {
            each["name"]: each
            for each in self.host.api.get("programs", include_status=True).json()["programs"]
        }
        word = shown["worker"]["status"]["status"]
        return hubs.programs(self.hub, NAME).get("worker") == word and (
            hubs.events(self.hub, NAME) == self.recorded()
        )

    def until_right(self) -> None:
        eventually(self.is_right, AGAIN_SECONDS, "the view is right")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with temporary_stack() as hub, temporary_stack() as host:
        hub.start()
        host.start()
        assert "follower" not in hub.api.get("ready").json()["parts"]
        assert own_processes(hub, "follower") == []
        made = Pair(hub, host)
        hubs.add_host(hub, host, NAME, labels={"role": "web"})
        hubs.until_current(hub, NAME)
        yield made


def test_host_that_is_added_is_followed_at_once(pair: Pair) -> None:
    assert set(hubs.programs(pair.hub, NAME)) == {"example-web", "example-workers", "worker"}
    link = hubs.link(pair.hub, NAME)
    assert link["version"]
    assert "memory_available_bytes" in str(link["machine"])
    eventually(lambda: hubs.rows(pair.hub, "SELECT * FROM fleet_hostusage"))
    # supervisord calls a process running after a second.
    eventually(lambda: pair.hub.api.get("ready").json()["parts"]["follower"])


def test_changes_of_states_and_edits_are_seen(pair: Pair) -> None:
    pair.turn()
    pair.until_right()
    pair.host.api.ok(f"programs/edit/{pair.program}", {"description": "of the night"})
    sql = "SELECT document FROM fleet_followedprogram WHERE name = 'worker'"
    eventually(lambda: "of the night" in str(hubs.rows(pair.hub, sql)), AGAIN_SECONDS)


def test_nothing_is_lost_when_the_api_of_the_host_is_killed(pair: Pair) -> None:
    pair.turn()
    for process in own_processes(pair.host, "api"):
        process.kill()
    eventually(pair.host._is_up, 30)
    pair.turn()
    pair.until_right()


def test_nothing_is_lost_when_the_follower_is_killed(pair: Pair) -> None:
    [follower] = eventually(lambda: own_processes(pair.hub, "follower"))
    pair.turn()
    follower.kill()
    pair.turn()
    pair.until_right()
    assert own_processes(pair.hub, "follower") != [follower]


def test_follower_that_stood_still_writes_nothing_twice(pair: Pair) -> None:
    [follower] = eventually(lambda: own_processes(pair.hub, "follower"))
    follower.suspend()
    pair.turn()
    time.sleep(1)
    follower.resume()
    pair.turn()
    pair.until_right()


def test_nothing_is_lost_when_supervisord_of_the_host_is_killed(pair: Pair) -> None:
    pair.turn()
    pair.until_right()
    pair.host.kill_supervisord()
    eventually(lambda: hubs.link(pair.hub, NAME)["state"] == "lost", AGAIN_SECONDS)
    eventually(lambda: "can't be reached" in hubs.link(pair.hub, NAME)["error"])
    assert hubs.programs(pair.hub, NAME)["worker"]  # as it was last known
    pair.host.start()
    pair.until_right()
    hubs.until_current(pair.hub, NAME, timeout=AGAIN_SECONDS)


def test_token_that_was_revoked_is_told(pair: Pair) -> None:
    forget = "from hoody_site.access.models import ApiToken; ApiToken.objects.update(digest='x')"
    kept = hubs.rows(pair.host, "SELECT digest FROM hoody_site_apitoken")[0]["digest"]
    hubs.run(pair.host, forget)
    # The stream ends with the next comment, a look sooner.
    eventually(lambda: hubs.link(pair.hub, NAME)["state"] == "refused", 20)
    hubs.run(pair.host, forget.replace("'x'", repr(kept)))


def test_stack_stops_in_order_with_a_follower(pair: Pair) -> None:
    [follower] = own_processes(pair.hub, "follower")
    assert pair.hub.stop() == 0
    assert not psutil.pid_exists(follower.pid)
    assert hubs.link(pair.hub, NAME)["holder"] == ""
    pair.hub.start()  # it has hosts now, so it begins by itself
    eventually(lambda: own_processes(pair.hub, "follower"))
    hubs.remove_host(pair.hub, NAME)
    assert hubs.rows(pair.hub, "SELECT * FROM fleet_followedprogram") == []
