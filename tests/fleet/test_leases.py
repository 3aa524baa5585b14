"""Hosts are shared between followers: evenly, and each has one at a time."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from fleet.following import leases
from fleet.models import Follower, Host, Link

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def hosts(db: None) -> list[int]:
    return [Host.objects.create(name=f"h{number}", url="http://h:1").pk for number in range(5)]


def held(follower: str) -> int:
    return Link.objects.filter(holder=follower, held_until__gt=Now()).count()


def later(follower: str, seconds: float = leases.VALID_SECONDS + 1) -> None:
    """Let so much time pass in which a follower was not heard of."""
    ago = Now() - timedelta(seconds=seconds - leases.VALID_SECONDS)
    Link.objects.filter(holder=follower).update(held_until=ago)
    Follower.objects.filter(name=follower).update(seen_at=Now() - timedelta(seconds=seconds))


def test_a_follower_that_is_alone_takes_all_at_once() -> None:
    share = leases.renew("a")
    assert [host.name for host in share.hosts] == [f"h{number}" for number in range(5)]
    assert (share.surplus, share.is_alone) == (0, False)
    assert held("a") == 5


def test_followers_share_evenly() -> None:
    leases.renew("a")
    assert leases.renew("b").hosts == []  # all are held
    share = leases.renew("a")
    assert (len(share.hosts), share.surplus) == (5, 2)
    leases.give_back("a", [host.pk for host in share.hosts[3:]])
    assert [host.name for host in leases.renew("b").hosts] == ["h3", "h4"]
    assert (held("a"), held("b")) == (3, 2)
    assert leases.renew("a").surplus == leases.renew("b").surplus == 0


def test_hosts_of_one_that_is_not_heard_of_are_taken() -> None:
    leases.renew("a")
    leases.renew("b")
    later("a")
    assert len(leases.renew("b").hosts) == 5
    assert leases.renew("a").hosts == []


def test_lease_that_has_ended_is_renewed_if_nobody_has_taken_it() -> None:
    leases.renew("a")
    later("a")
    assert len(leases.renew("a").hosts) == 5
    assert held("a") == 5


def test_one_that_leaves_gives_all_back() -> None:
    leases.renew("a")
    leases.leave("a")
    assert not Follower.objects.exists()
    assert len(leases.renew("b").hosts) == 5


def test_successor_of_one_that_was_killed_inherits_its_hosts() -> None:
    killed, successor = leases.name_follower(), leases.name_follower()
    assert killed != successor
    leases.renew(killed)
    leases.renew("of another hub")
    leases.inherit(successor)
    assert (held(killed), held(successor)) == (0, 5)
    assert set(Follower.objects.values_list("name", flat=True)) == {"of another hub"}


def test_host_that_is_removed_or_added_is_noticed(hosts: list[int]) -> None:
    leases.renew("a")
    Host.objects.get(name="h0").delete()
    Host.objects.create(name="new", url="http://h:1")
    assert {host.name for host in leases.renew("a").hosts} == {"h1", "h2", "h3", "h4", "new"}
    Host.objects.all().delete()
    assert leases.renew("a") == leases.Share([], 0, True)


def test_one_that_has_long_been_gone_is_forgotten() -> None:
    leases.renew("a")
    later("a", 3600)
    leases.renew("b")
    assert list(Follower.objects.values_list("name", flat=True)) == ["b"]


def test_only_what_is_held_is_locked_for_writing(hosts: list[int]) -> None:
    leases.renew("a")
    assert leases.locked("a", hosts[:2]).keys() == set(hosts[:2])
    assert leases.locked("b", hosts) == {}
