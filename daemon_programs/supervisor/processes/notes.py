"""Notes of started processes, by which they are found again after supervisord was killed.

The plugin writes one file for each process that it starts: which process it is, and the mark that it and
its descendants carry (`marks`). The next start of the stack reads them. Does not import Django.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from daemon_programs.supervisor.processes.marks import Claim, Mark
from daemon_programs.supervisor.processes.tree import Identity, stat

_NO_PROCESS = Identity(0, 0)
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Owner(NamedTuple):
    """The process of a program that other processes belong to, by its names in supervisord."""

    group: str
    process: str  # the group's name, or the port of an instance


class Note(NamedTuple):
    """What is known of a process that was started."""

    owner: Owner
    identity: Identity
    claim: Claim | None  # None: it could not be marked


def announce(folder: str, owner: Owner, claim: Claim) -> None:
    """Note the mark of a process that is about to be started.

    So the process is found even if supervisord is killed before it can note which one it is.
    """
    _write(folder, owner, _NO_PROCESS, claim)


def write(folder: str, owner: Owner, pid: int, claim: Claim | None = None) -> None:
    """Note a process that has just been started. Not synced: no process outlives the system."""
    fields = stat(pid)  # not `identify`: if it has ended already, the note still tells its descendants' mark
    if fields is not None:
        _write(folder, owner, Identity(pid, int(fields[19])), claim)


def _write(folder: str, owner: Owner, identity: Identity, claim: Claim | None) -> None:
    words: list[object] = [*identity, _boot()]
    if claim is not None:
        words += [claim.mark.soft, claim.mark.hard, claim.uid]
    with open(_file_of(folder, owner), "w") as note:
        note.write(" ".join(map(str, words)) + "\n")


def forget(folder: str, owner: Owner) -> None:
    """Remove the note of a process of which nothing is left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_file_of(folder, owner))


def read(folder: str) -> Iterator[Note]:
    """Yield the notes that were written since the system has booted."""
    for name in os.listdir(folder):
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(folder, name)) as file:
                pid, start_time, boot, *mark = file.read().split()
            group, _, process = name.partition(":")
            # Start times count from the system's boot, so they identify a process within one boot only.
            if boot == _boot():
                yield Note(Owner(group, process), Identity(int(pid), int(start_time)), _claim(mark))


def _claim(words: list[str]) -> Claim | None:
    if not words:
        return None
    soft, hard, uid = map(int, words)
    return Claim(Mark(soft, hard), uid)


def _file_of(folder: str, owner: Owner) -> str:
    return os.path.join(folder, f"{owner.group}:{owner.process}")


def _boot() -> str:
    with open(_BOOT_ID) as boot:
        return boot.read().strip()
