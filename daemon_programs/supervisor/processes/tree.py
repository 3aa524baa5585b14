"""Read process trees from ``/proc``, and signal processes safely.

Used inside supervisord (by the plugin) and by the stack. Does not import Django.

A pid is reused after its process has ended. So ``Identity`` pairs it with the start time, and ``send``
signals a process only if both still match.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_MOST_BYTES_OF_STAT = 4096  # 52 numbers and a short name


class Identity(NamedTuple):
    """Identify a process beyond its end: no later process of the same pid has the same start time."""

    pid: int
    start_time: int  # clock ticks since boot


def identify(pid: int) -> Identity | None:
    """Return the identity of a living process; None if it has ended or is a zombie."""
    fields = stat(pid)
    return Identity(pid, int(fields[19])) if fields and is_alive(fields) else None


def is_alive(fields: list[bytes]) -> bool:
    """Return whether a process is alive, from the fields that `stat` returns.

    A process whose main thread has ended is reported as a zombie, but is alive until its other threads end.
    """
    return fields[0] not in (b"Z", b"X") or int(fields[17]) > 1


def stat(pid: int) -> list[bytes] | None:
    """Return the fields of ``/proc/<pid>/stat`` from the state on; None if the process has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            return (file.read(_MOST_BYTES_OF_STAT) or b"").rpartition(b")")[2].split()
    except OSError:
        return None


def real_uid(pid: int) -> int | None:
    """Return the real uid of a process, which set-uid programs leave as it is; None if it has ended."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(b"Uid:"))
    except (OSError, StopIteration):
        return None


def lineage(pid: int) -> list[int]:
    """Return the pids of a process and its ancestors, the nearest first."""
    found = []
    while pid:
        found.append(pid)
        fields = stat(pid)
        pid = 0 if fields is None else int(fields[1])
    return found


def children(pid: int) -> Iterator[int]:
    """Yield the pids of a process' children, including those forked by its threads."""
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
    """Return the living processes among ``roots`` and all their descendants."""
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


def processes() -> Iterator[int]:
    """Return the pids of all processes."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def send(identity: Identity, signum: signal.Signals) -> bool:
    """Signal a process unless it has ended, even if its pid was reused; return whether it was signalled.

    A stack without privilege may not signal what has gained some, such as ``sudo``.
    """
    try:
        descriptor = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return False
    except OSError:  # not supported by the kernel, or no descriptor left: check and signal by pid
        return identify(identity.pid) == identity and _kill(identity.pid, signum)
    try:
        # The descriptor is fixed to one process by now, so this check can't be outdated by a reused pid.
        return identify(identity.pid) == identity and _kill_by(descriptor, signum)
    finally:
        os.close(descriptor)


def terminate(identity: Identity) -> None:
    """Send SIGTERM, and SIGCONT: a suspended process would not handle SIGTERM before it is continued."""
    if send(identity, signal.SIGTERM):
        send(identity, signal.SIGCONT)


def _kill_by(descriptor: int, signum: signal.Signals) -> bool:
    try:
        signal.pidfd_send_signal(descriptor, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _kill(pid: int, signum: signal.Signals) -> bool:
    try:
        os.kill(pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True
