"""Share the hosts between followers: each host has one at a time, which holds a lease of some seconds.

All times are those of the database, so the clocks of hubs don't matter. A follower that is killed has its
hosts taken over when its leases end; one that is stopped gives them back.
"""

import hashlib
import secrets
import socket
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import NamedTuple

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from fleet import database
from fleet.models import Follower, Host, Link

RENEWED_SECONDS = 2.0
VALID_SECONDS = 6.0
_VALID = timedelta(seconds=VALID_SECONDS)
_FORGOTTEN = timedelta(minutes=10)


class Share(NamedTuple):
    """The hosts that a follower holds, and how many of them others should have."""

    hosts: list[Host]  # with their links
    surplus: int
    is_alone: bool  # there are no hosts at all


def name_follower() -> str:
    """Return a name for this process, which begins with that of its installation."""
    return f"{_installation()}{secrets.token_hex(4)}"


def _installation() -> str:
    """Return what tells the hubs apart, without telling their keys."""
    digest = hashlib.sha256(f"follower {settings.SECRET_KEY}".encode()).hexdigest()[:12]
    return f"{socket.gethostname()[:60]}-{digest}-"


def inherit(follower: str) -> None:
    """Take over what an earlier process of this installation has held: it was killed."""
    earlier = Q(holder__startswith=_installation()) & ~Q(holder=follower)
    with database.atomic():
        Link.objects.filter(earlier).update(holder=follower, held_until=Now() + _VALID)
        Follower.objects.filter(name__startswith=_installation()).exclude(name=follower).delete()


def renew(follower: str) -> Share:
    """Renew the leases of a follower, take free hosts up to its share, and return what it holds."""
    with database.atomic():
        _show(follower)
        held = Link.objects.filter(holder=follower).update(held_until=Now() + _VALID)
        Link.objects.bulk_create(
            [Link(host=host) for host in Host.objects.filter(link=None)], ignore_conflicts=True
        )
        total = Link.objects.count()
        share = -(-total // Follower.objects.filter(seen_at__gt=Now() - _VALID).count())
        if held < share and _take(follower, share - held):
            held = Link.objects.filter(holder=follower).count()
    hosts = list(Host.objects.filter(link__holder=follower).select_related("link"))
    return Share(hosts, max(held - share, 0), total == 0)


def give_back(follower: str, hosts: Iterable[int]) -> None:
    """Let others have these hosts."""
    Link.objects.filter(holder=follower, host__in=list(hosts)).update(holder="", held_until=None)


def leave(follower: str) -> None:
    """Give back all hosts, at the end of a follower."""
    with database.atomic():
        Link.objects.filter(holder=follower).update(holder="", held_until=None)
        Follower.objects.filter(name=follower).delete()


def locked(follower: str, hosts: Collection[int]) -> dict[int, Link]:
    """Return the links of those hosts that a follower holds, and keep others from taking them meanwhile."""
    held = Link.objects.select_for_update().filter(holder=follower, host__in=hosts).order_by("host")
    return {link.host_id: link for link in held}


def _show(follower: str) -> None:
    """Let the others see that this follower lives, and forget those that have long been gone."""
    if not Follower.objects.filter(name=follower).update(seen_at=Now()):
        Follower.objects.create(name=follower, seen_at=Now())
    Follower.objects.filter(seen_at__lt=Now() - _FORGOTTEN).delete()


def _take(follower: str, most: int) -> int:
    """Take so many free hosts at most, those first that have been free for longest; return their number."""
    free = Q(holder="") | Q(held_until=None) | Q(held_until__lt=Now())
    # What another follower takes at this moment is passed over, not waited for.
    found = Link.objects.select_for_update(skip_locked=True).filter(free)
    chosen = list(found.order_by(F("held_until").asc(nulls_first=True)).values_list("host", flat=True)[:most])
    return Link.objects.filter(host__in=chosen).update(holder=follower, held_until=Now() + _VALID)
