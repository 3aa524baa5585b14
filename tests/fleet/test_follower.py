"""The process that follows hosts ends by itself without any, and not while that isn't known."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from fleet import database
from fleet.following import follower, leases
from fleet.following.follower import Follower
from fleet.following.heard import Heard
from fleet.models import Host

Renew = Callable[[str], leases.Share]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[[Renew, float], bool]:
    """Return a function that tells whether a follower ends by itself within some seconds."""
    monkeypatch.setattr(follower, "_LINGER_SECONDS", 0.1)
    monkeypatch.setattr(leases, "RENEWED_SECONDS", 0.02)
    for module, name in ((database, "prepare"), (leases, "inherit"), (leases, "leave")):
        monkeypatch.setattr(module, name, lambda *arguments: None)

    async def follow(seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await Follower().run()
        except TimeoutError:
            return False
        return True

    def run(renew: Renew, seconds: float) -> bool:
        monkeypatch.setattr(leases, "renew", renew)
        return asyncio.run(follow(seconds))

    return run


def test_without_hosts_it_ends(run: Any) -> None:
    assert run(lambda name: leases.Share([], 0, True), 5)


def test_it_stays_while_others_hold_all_hosts(run: Any) -> None:
    assert not run(lambda name: leases.Share([], 0, False), 0.5)


def test_it_stays_while_the_database_is_away(run: Any) -> None:
    def away(name: str) -> leases.Share:
        raise OperationalError("away")

    assert not run(away, 0.5)


def test_it_stays_while_the_shared_database_is_of_another_version(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later() -> None:
        raise database.HubDatabaseUnusable("It was made by a later version")

    monkeypatch.setattr(follower, "_UNUSABLE_SECONDS", 0.02)
    monkeypatch.setattr(database, "prepare", later)
    assert not run(lambda name: leases.Share([], 0, True), 0.5)


def test_it_ends_at_once_when_it_has_seen_no_hosts_for_long(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_LINGER_SECONDS", 0)
    monkeypatch.setattr(leases, "RENEWED_SECONDS", 60)
    assert run(lambda name: leases.Share([], 0, True), 5)


def test_it_stays_while_its_connection_is_closed(run: Any) -> None:
    def closed(name: str) -> leases.Share:
        raise InterfaceError("connection already closed")

    assert not run(closed, 0.5)


def test_session_that_was_ended_tells_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    async def test() -> None:
        follower = Follower()

        async def tell(host: int, heard: Heard) -> None:
            told.append(host)

        monkeypatch.setattr(follower._writer, "tell", tell)
        host, again = Host(pk=1), Host(pk=1)
        follower._sessions[1] = host, asyncio.create_task(asyncio.sleep(5))
        await follower._tell(host, 1, Heard())
        follower._drop({1})
        await follower._tell(host, 1, Heard())
        follower._sessions[1] = again, asyncio.create_task(asyncio.sleep(5))
        await follower._tell(host, 1, Heard())
        follower._drop({1})

    asyncio.run(test())
    assert told == [1]


def test_session_that_has_failed_is_begun_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    class Failing:
        def __init__(self, http: object, host: Host, tell: object) -> None:
            begun.append(host.pk)

        async def run(self) -> None:
            raise ArithmeticError

    monkeypatch.setattr(follower, "Session", Failing)
    assert not run(lambda name: leases.Share([Host(pk=1, name="h")], 0, False), 0.5)
    assert len(begun) > 1
