"""What the whole host uses, as the kernel tells it. In a container too these are the host's."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple


class HostSample(NamedTuple):
    """What the host used at one time."""

    cpu_percent: float  # of all cores
    memory_used_bytes: int
    memory_total_bytes: int
    load_averages: tuple[float, float, float]  # of 1, 5 and 15 minutes
    disk_used_bytes: int  # of the file system of the state folder
    disk_total_bytes: int


class HostMeter:
    """Remember the CPU time of the host since it was last measured."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: tuple[int, int] | None = None

    def measure(self) -> HostSample | None:
        """Return what the host uses; None at the first call. Raise OSError if the kernel does not tell."""
        last, self._last = self._last, _cpu_ticks()
        if last is None:
            return None
        busy, total = self._last[0] - last[0], self._last[1] - last[1]
        memory_used, memory_total = memory()
        disk = shutil.disk_usage(self._folder)
        return HostSample(
            round(100 * max(busy, 0) / total, 1) if total > 0 else 0.0,
            memory_used,
            memory_total,
            os.getloadavg(),
            disk.used,
            disk.used + disk.free,  # without what is reserved for root, as df counts
        )


def _cpu_ticks() -> tuple[int, int]:
    """Return for how long all cores together were busy, and that with the time that they were idle."""
    with open("/proc/stat", "rb") as file:
        # user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user and nice
        times = [int(word) for word in file.readline().split()[1:9]]
    return sum(times) - times[3] - times[4], sum(times)


def memory() -> tuple[int, int]:
    """Return the bytes of memory that are used, and the total.

    What the kernel can take back at once is not used.
    """
    with open("/proc/meminfo", "rb") as file:
        kibibytes = {name: int(value) for name, value, *_ in map(bytes.split, file)}
    total = kibibytes[b"MemTotal:"]
    return (total - kibibytes[b"MemAvailable:"]) * 1024, total * 1024
