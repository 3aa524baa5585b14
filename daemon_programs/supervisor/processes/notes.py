"""Which process was started for which program: a note for each, for whoever comes after a killed supervisord.

What supervisord gives its children to carry is in their environment, and some programs overwrite that
memory to set their title (nginx, redis and PostgreSQL do). A note names their process all the same.
Plain functions without Django: the plugin writes, the stack's start reads.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from daemon_programs.supervisor.processes.tree import Identity, identify

_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Owner(NamedTuple):
    """Of which program, and of which process of it, something is."""

    group: str
    process: str


def write(folder: str, owner: Owner, pid: int) -> None:
    """Note the process that has just been started. Not synced: no process lives longer than the system."""
    identity = identify(pid)
    if identity is not None:
        with open(_file_of(folder, owner), "w") as note:
            note.write(f"{identity.pid} {identity.start_time} {_boot()}\n")


def forget(folder: str, owner: Owner) -> None:
    """Nothing of it is left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_file_of(folder, owner))


def read(folder: str) -> Iterator[tuple[Owner, Identity]]:
    """The processes that were noted and still live, each with whose it is."""
    for name in os.listdir(folder):
        group, _, process = name.partition(":")
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(folder, name)) as note:
                pid, start_time, boot = note.read().split()
            noted = Identity(int(pid), int(start_time))
            # Start times are counted from the system's start.
            if boot == _boot() and identify(noted.pid) == noted:
                yield Owner(group, process), noted


def _file_of(folder: str, owner: Owner) -> str:
    return os.path.join(folder, f"{owner.group}:{owner.process}")


def _boot() -> str:
    with open(_BOOT_ID) as boot:
        return boot.read().strip()
