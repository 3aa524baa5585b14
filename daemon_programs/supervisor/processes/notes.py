"""Notes of started processes, by which they are found again after supervisord was killed.

The environment markers of a process can be lost: some programs (nginx, redis, PostgreSQL) overwrite that
memory to set their title. A note identifies their process nevertheless. The plugin writes one file for
each process that it starts; the next start of the stack reads them. Does not import Django.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from daemon_programs.supervisor.processes.tree import Identity, identify

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Owner(NamedTuple):
    """The process of a program that other processes belong to, by its names in supervisord."""

    group: str
    process: str  # the group's name, or the port of an instance


def write(folder: str, owner: Owner, pid: int) -> None:
    """Note a process that has just been started. Not synced: no process outlives the system."""
    identity = identify(pid)
    if identity is not None:
        with open(_file_of(folder, owner), "w") as note:
            note.write(f"{identity.pid} {identity.start_time} {_boot()}\n")


def forget(folder: str, owner: Owner) -> None:
    """Remove the note of a process of which nothing is left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_file_of(folder, owner))


def read(folder: str) -> Iterator[tuple[Owner, Identity]]:
    """Yield the noted processes that are still alive, each with its owner."""
    for name in os.listdir(folder):
        group, _, process = name.partition(":")
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(folder, name)) as note:
                pid, start_time, boot = note.read().split()
            noted = Identity(int(pid), int(start_time))
            # Start times count from the system's boot, so they identify a process within one boot only.
            if boot == _boot() and identify(noted.pid) == noted:
                yield Owner(group, process), noted


def _file_of(folder: str, owner: Owner) -> str:
    return os.path.join(folder, f"{owner.group}:{owner.process}")


def _boot() -> str:
    with open(_BOOT_ID) as boot:
        return boot.read().strip()
