"""The host on the overview: its CPU, memory, disk and load, and a disk that is nearly full."""

import os
from collections.abc import Iterator
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from daemon_programs.admin.presentation.badges import Severity
from daemon_programs.admin.presentation.sparklines import sparkline
from daemon_programs.programs.observed import samples
from hoody_site.console.overview.problems import Problem

_NEARLY_FULL_PERCENT = 95.0
_SPARKLINE_VALUES = 60


def figures() -> list[dict[str, Any]]:
    """Return the figures, with their share in percent if there is one; none before the first sample."""
    host = samples.host()
    if host is None:
        return []
    memory = _share(host.memory_used_bytes, host.memory_total_bytes)
    disk = _share(host.disk_used_bytes, host.disk_total_bytes)
    recent = sparkline([cpu for _, cpu, _ in samples.host_history("hour")[-_SPARKLINE_VALUES:]])
    cpu = f"{host.cpu_percent:.0f} %"
    return [
        {"name": "CPU", "percent": host.cpu_percent, "text": cpu, "line": recent},
        {"name": "Memory", "percent": memory, "text": _of(host.memory_used_bytes, host.memory_total_bytes)},
        {"name": "Disk", "percent": disk, "text": _of(host.disk_used_bytes, host.disk_total_bytes)},
        {"name": "Load", "text": f"{host.load_averages[0]:.1f} on {os.cpu_count() or 1} cores"},
    ]


def problems() -> Iterator[Problem]:
    """Yield the host's problems: a disk that is nearly full stops logs, the history and all changes."""
    host = samples.host()
    if host and _share(host.disk_used_bytes, host.disk_total_bytes) >= _NEARLY_FULL_PERCENT:
        sentence = f"it is nearly full: {_of(host.disk_used_bytes, host.disk_total_bytes)}"
        yield Problem(Severity.BAD, "full", "The disk of the state folder", reverse("ready"), sentence)


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _of(part: int, whole: int) -> str:
    return f"{filesizeformat(part)} of {filesizeformat(whole)}"
