"""The hosts on the overview of a hub, those that need attention first."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.http import urlencode

from daemon_programs.admin.presentation.badges import Severity, badge
from fleet.admin.ages import host_badge, last_heard
from fleet.models import HostUsage
from fleet.reading import status
from fleet.reading.hosts import KnownHost, all_hosts
from hoody_site.console.overview.problems import Problem

_HOSTS_SHOWN = 30
_USAGE_WITHIN = timedelta(minutes=3)


def known() -> list[KnownHost]:
    """Return all hosts. A stack that never had one has no key for their tokens, and is not asked."""
    return all_hosts() if Path(settings.HOSTS_KEY_FILE).exists() else []


def problems(hosts: Sequence[KnownHost]) -> Iterator[Problem]:
    """Yield the hosts that are away: what is shown of them is old."""
    for host in hosts:
        if host.state in status.AWAY:
            sentence = f"{host.error}" if host.error else "what is shown of it may not be true any more"
            yield Problem(Severity.BAD, host.state, host.name, _programs_of(host.name), sentence)


def table(hosts: Sequence[KnownHost]) -> dict[str, Any]:
    """Return the template context of the hosts, with two queries however many there are."""
    told = status.overall(hosts)
    by_name = {host.name: host for host in hosts}
    shown = [(by_name[each["name"]], each) for each in told["hosts"][:_HOSTS_SHOWN]]
    used = _used([host.id for host, _ in shown])
    page = reverse("admin:fleet_followedprogram_changelist")
    return {
        "url": page,
        "counts": [
            {"badge": badge(state), "count": count, "url": f"{page}?{urlencode({'state': state})}"}
            for state, count in told["counts"].items()
        ],
        "rows": [_row(host, each, used.get(host.id)) for host, each in shown],
        "more": max(len(hosts) - _HOSTS_SHOWN, 0),
    }


def _row(host: KnownHost, told: dict[str, Any], cpu_percent: float | None) -> dict[str, Any]:
    return {
        "name": host.name,
        "url": _programs_of(host.name),
        "badge": host_badge(host),
        "heard": last_heard(host),
        "version": host.version,
        "counts": [{"badge": badge(state), "count": count} for state, count in told["counts"].items()],
        "cpu": None if cpu_percent is None else f"{cpu_percent:.0f} %",
        "memory": _memory(host.machine),
    }


def _memory(machine: dict[str, Any]) -> str:
    """Return how much memory of a machine is used; empty if its daemon doesn't tell that."""
    total, available = machine.get("memory_total_bytes"), machine.get("memory_available_bytes")
    if not isinstance(total, int) or not isinstance(available, int):
        return ""
    return f"{filesizeformat(total - available)} of {filesizeformat(total)}"


def _programs_of(name: str) -> str:
    return f"{reverse('admin:fleet_followedprogram_changelist')}?{urlencode({'host': name})}"


def _used(hosts: list[int]) -> dict[int, float]:
    """Return what the programs of hosts have used in the last minute that is known, if it is a recent one."""
    since = datetime.now(UTC) - _USAGE_WITHIN
    rows = HostUsage.objects.filter(host__in=hosts, minute__gte=since).order_by("minute")
    return dict(rows.values_list("host", "cpu_percent"))
