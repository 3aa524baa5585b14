"""What the programs of hosts have used, by the minute."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from daemon_programs.timestamps import milliseconds
from fleet import database
from fleet.models import HostUsage
from fleet.reading.hosts import KnownHost

_WITHOUT_SINCE = timedelta(hours=1)


def minutes(hosts: Sequence[KnownHost], since: datetime | None) -> list[dict[str, Any]]:
    """Return each host with its minutes from a time on, or of the last hour, oldest first."""
    first = since or database.now() - _WITHOUT_SINCE
    found: dict[int, list[dict[str, Any]]] = {host.id: [] for host in hosts}
    rows = HostUsage.objects.filter(host__in=list(found), minute__gte=first).order_by("minute")
    for host, minute, cpu_percent, memory_bytes in rows.values_list(
        "host", "minute", "cpu_percent", "memory_bytes"
    ):
        found[host].append(
            {"minute": milliseconds(minute), "cpu_percent": cpu_percent, "memory_bytes": memory_bytes}
        )
    return [{**host.freshness, "usage": found[host.id]} for host in hosts]
