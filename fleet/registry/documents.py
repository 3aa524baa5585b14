"""Hosts as JSON: where they are, and what was last heard of them. Never their tokens."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count

from daemon_programs.timestamps import milliseconds
from fleet.models import FollowedProgram, Host, Link

Counts = dict[int, dict[str, int]]

_UNKNOWN = Link()  # of a host that was never followed


def link_of(host: Host) -> Link:
    """Return how it stands with a host; of one that was never followed, that."""
    link: Link = getattr(host, "link", _UNKNOWN)
    return link


def problem_of(host: Host) -> str:
    """Return why nothing new is heard of a host; empty if there is no reason known."""
    return host.token_problem or link_of(host).error


def age_of(host: Host) -> float | None:
    """Return how many seconds ago what is known of a host was true; None if nothing is known."""
    heard_at = link_of(host).heard_at
    if heard_at is None:
        return None
    read_at: datetime = host.read_at  # type: ignore[attr-defined]  # which `registry.hosts` adds
    return round(max((read_at - heard_at).total_seconds(), 0.0), 1)


def counts_of(hosts: Sequence[Host]) -> Counts:
    """Return by host how many programs are in which state, as far as was heard."""
    found: Counts = defaultdict(Counter)
    rows = FollowedProgram.objects.filter(host__in=[host.pk for host in hosts]).values_list(
        "host_id", "state"
    )
    for host_id, state, number in rows.annotate(number=Count("pk")).order_by("state"):
        found[host_id][state] = number
    return found


def host_document(host: Host, counts: Counts | None) -> dict[str, Any]:
    """Return a host; with counts, also how many of its programs are in which state."""
    link = link_of(host)
    return {
        "name": host.name,
        "url": host.url,
        "labels": host.labels,
        "notes": host.notes,
        "state": link.state,
        "since": _time(link.since),
        "heard_at": _time(link.heard_at),
        "age_seconds": age_of(host),
        "version": link.version or None,
        "error": problem_of(host) or None,
        "added_at": _time(host.added_at),
        "added_by": host.added_by,
        **({} if counts is None else {"programs": dict(counts.get(host.pk, {}))}),
    }


def matches(host: Host, query: dict[str, Any]) -> bool:
    """Return whether a host meets the filters of a list."""
    if "state" in query and link_of(host).state not in query["state"]:
        return False
    if not all(selector.selects(host.labels) for selector in query.get("label", ())):
        return False
    text = query.get("q", "").casefold()
    return any(text in field.casefold() for field in (host.name, host.url, host.notes))


def chosen(hosts: Iterable[Host], query: dict[str, Any]) -> list[Host]:
    """Return the hosts that meet the filters of a list."""
    return [host for host in hosts if matches(host, query)]


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else milliseconds(moment)
