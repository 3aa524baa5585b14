"""Process trees, read from ``/proc``: who descends from whom, and what supervisord gave them to carry.

Plain functions without Django, used inside supervisord (by the plugin) and by the stack's launcher.
A process id alone names nobody for long: ``Identity`` pairs it with the start time, and ``send``
signals only a process that still has both.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# What supervisord puts into the environment of each child. Descendants inherit it, also through
# setsid and double forks, so it tells to whom an orphan belongs.
SERVER_URL = b"SUPERVISOR_SERVER_URL"
GROUP_NAME = b"SUPERVISOR_GROUP_NAME"
PROCESS_NAME = b"SUPERVISOR_PROCESS_NAME"
PROCESS_KEY = b"SUPERVISOR_PROCESS_KEY"  # only the plugin's: see `plugin.context`


_PF_EXITING = 0x4  # of the kernel's sched.h


class Identity(NamedTuple):
    """A process that can't be confused with a later one of the same pid."""

    pid: int
    start_time: int  # clock ticks since boot


def identify(pid: int) -> Identity | None:
    """The identity of a living process; None when it is gone or a zombie."""
    fields = stat(pid)
    return Identity(pid, int(fields[19])) if fields and is_alive(fields) else None


def is_alive(fields: list[bytes]) -> bool:
    """Whether a process lives, by what `stat` says of it.

    One whose main thread has ended looks like a zombie, and lives as long as another thread does.
    """
    return fields[0] not in (b"Z", b"X") or int(fields[17]) > 1


def is_ending(pid: int) -> bool:
    """Whether a process is on its way out: it runs no more of its program, and may still be a parent."""
    fields = stat(pid)
    return fields is not None and bool(int(fields[6]) & _PF_EXITING)


def stat(pid: int) -> list[bytes] | None:
    """What ``/proc/<pid>/stat`` says after the name, from the state on."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def session(pid: int) -> int | None:
    """The session that a process is in: the pid of the one that began it."""
    fields = stat(pid)
    return None if fields is None else int(fields[3])


def real_uid(pid: int) -> int | None:
    """Whose process it is, whatever it may do; None when it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(b"Uid:"))
    except (OSError, StopIteration):
        return None


def lineage(pid: int) -> list[int]:
    """A process and its ancestors, the nearest first."""
    found = []
    while pid:
        found.append(pid)
        fields = stat(pid)
        pid = 0 if fields is None else int(fields[1])
    return found


def children(pid: int) -> Iterator[int]:
    """The pids of a process' children, those forked by its threads included."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as listing:
                yield from map(int, listing.read().split())
        except OSError:
            continue


def descend(roots: Iterable[int]) -> set[Identity]:
    """The living processes among ``roots`` and all that descends from them."""
    found: set[Identity] = set()
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        if identity := identify(pid):
            found.add(identity)
        waiting.extend(children(pid))
    return found


def environment(pid: int) -> dict[bytes, bytes]:
    """What the process was given as its environment; empty when it can't be read."""
    pairs = (_environ(f"/proc/{pid}/environ") or _environ_of_threads(pid)).split(b"\0")
    return dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)


def _environ_of_threads(pid: int) -> bytes:
    """As the other threads have it: the main one may have ended."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return b""
    return next(filter(None, (_environ(f"/proc/{pid}/task/{thread}/environ") for thread in threads)), b"")


def _environ(file: str) -> bytes:
    try:
        with open(file, "rb") as environ:
            return environ.read()
    except OSError:
        return b""


def processes() -> Iterator[int]:
    """All pids of the process table."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def send(identity: Identity, signum: signal.Signals) -> bool:
    """Signal a process unless it is gone or its pid has gone to another one, even just now."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    except OSError:  # a kernel that has none, or no descriptor left: then as near to it as can be
        return identify(identity.pid) == identity and _kill(identity.pid, signum)
    try:
        # What the descriptor stands for can't change any more, so it is looked at only now.
        return identify(identity.pid) == identity and _kill_by(descriptor, signum)
    finally:
        os.close(descriptor)


def terminate(identity: Identity) -> None:
    """Ask a process to end. One that is suspended goes on, or it would hear of that only at its end."""
    if send(identity, signal.SIGTERM):
        send(identity, signal.SIGCONT)


def _kill_by(descriptor: int, signum: signal.Signals) -> bool:
    try:
        signal.pidfd_send_signal(descriptor, signum)
    except ProcessLookupError:
        return False
    return True


def _kill(pid: int, signum: signal.Signals) -> bool:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return False
    return True
