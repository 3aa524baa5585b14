"""The process that follows hosts ends by itself without any, and not while that isn't known."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from fleet import database
from fleet.following import follower, leases
from fleet.following.follower import Follower

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
