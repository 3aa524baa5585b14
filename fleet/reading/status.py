"""How many programs are in which state, over all hosts and on each; what needs attention first."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db.models import Count

from fleet.models import FollowedProgram, Link
from fleet.reading.hosts import KnownHost

PROBLEMS = ("fatal", "backoff", "unknown")  # states that someone should look at
# The states of links that someone should look at.
AWAY = (Link.State.LOST, Link.State.REFUSED)


def overall(hosts: Sequence[KnownHost]) -> dict[str, Any]:
    """Return the counts over hosts and of each, those with problems first. It takes one query."""
    counts = counts_of(hosts)
    ordered = sorted(hosts, key=lambda host: (_rank(host, counts[host.id]), host.name))
    return {
        "counts": dict(sorted(sum(counts.values(), Counter()).items())),
        "host_counts": dict(sorted(Counter(host.state for host in hosts).items())),
        "hosts": [_document(host, counts[host.id]) for host in ordered],
    }


def counts_of(hosts: Sequence[KnownHost]) -> dict[int, Counter[str]]:
    """Return how many programs of each host are in which state, by the host's id."""
    counts: dict[int, Counter[str]] = {host.id: Counter() for host in hosts}
    rows = FollowedProgram.objects.order_by().values_list("host", "state").annotate(count=Count("pk"))
    for host, state, count in rows.filter(host__in=list(counts)):
        counts[host][state] += count
    return counts


def problems_in(counts: Counter[str]) -> int:
    """Return how many programs someone should look at."""
    return sum(counts[state] for state in PROBLEMS)


def _rank(host: KnownHost, counts: Counter[str]) -> int:
    if host.state in AWAY:
        return 0
    if problems_in(counts):
        return 1
    return 3 if host.is_current else 2


def _document(host: KnownHost, counts: Counter[str]) -> dict[str, Any]:
    return {
        **host.freshness,
        "version": host.version,
        "counts": dict(sorted(counts.items())),
        "problems": problems_in(counts),
    }
