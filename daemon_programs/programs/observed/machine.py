"""The machine that the programs run on: how much it has, and how much of that is left."""

import os
from typing import Any

from daemon_programs.programs.observed.samples.host import memory


def describe() -> dict[str, Any]:
    """Return the figures of the machine, as the kernel tells them; in a container those of its host."""
    used, total = memory()
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "load_1m": round(os.getloadavg()[0], 2),
        "memory_total_bytes": total,
        "memory_available_bytes": total - used,
    }
