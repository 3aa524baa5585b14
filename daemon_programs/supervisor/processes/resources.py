"""The priority and the limits of a process, set in a forked child before it becomes a program's command.

Does not import Django.
"""

import contextlib
import os
import resource
from collections.abc import Iterator

UNLIMITED = "unlimited"
# The last two may leave a child too little memory for anything but the exec.
RESOURCES = {
    "nofile": resource.RLIMIT_NOFILE,
    "nproc": resource.RLIMIT_NPROC,
    "core": resource.RLIMIT_CORE,
    "cpu": resource.RLIMIT_CPU,
    "fsize": resource.RLIMIT_FSIZE,
    "memlock": resource.RLIMIT_MEMLOCK,
    "stack": resource.RLIMIT_STACK,
    "as": resource.RLIMIT_AS,
}


class LimitTooHigh(Exception):
    """A hard limit can't be raised; the text says which."""


def set_nice(nice: int) -> None:
    """Set the priority of this process, which leads its session. Raise OSError."""
    if not nice:
        return
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    # With autogrouping, which most kernels have, a session as a whole competes with the others.
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "wb", buffering=0) as autogroup:
        autogroup.write(b"%d" % nice)


def make_room(limits: dict[str, int | str]) -> None:
    """Raise the hard limits that are too low, which takes privilege. Raise LimitTooHigh."""
    for name, number, value in _each(limits):
        soft, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY or (value != resource.RLIM_INFINITY and value <= hard):
            continue
        try:
            resource.setrlimit(number, (soft, value))
        except (OSError, ValueError):
            raise LimitTooHigh(
                f"the limit '{name}' can't be raised to {limits[name]}: {hard} is the highest"
            ) from None


def limit(limits: dict[str, int | str]) -> None:
    """Set the limits, after `make_room`."""
    for _, number, value in _each(limits):
        resource.setrlimit(number, (value, value))


def _each(limits: dict[str, int | str]) -> Iterator[tuple[str, int, int]]:
    for name, number in RESOURCES.items():
        if name in limits:
            value = limits[name]
            yield name, number, resource.RLIM_INFINITY if value == UNLIMITED else int(value)
