"""Processes of programs, looked for in the process table: what a killed supervisord has left, and strays.

A process belongs to this stack if its environment says so, if it was noted when it was started
(``notes``), or if it descends from one that does. Plain functions without Django.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable

from daemon_programs.supervisor.processes import notes, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.tree import Identity

_LOOK_AGAIN_SECONDS = 0.02
_SEARCH_AGAIN_SECONDS = 0.5  # what is being ended may make another process meanwhile
_KILL_SECONDS = 10.0  # after SIGKILL only the kernel can hold up an end

Found = dict[Identity, Owner]


def find(socket: str, noted: str) -> Found:
    """All living processes of the stack with this socket and this folder of notes, and whose each is.

    The nearest mark counts: a program may run another one, marks and all, for somebody else.
    """
    found = _carriers(socket) | _noted(noted)
    waiting = list(found)
    while waiting:
        parent = waiting.pop()
        for pid in tree.children(parent.pid):
            child = tree.identify(pid)
            if child is not None and child not in found:
                found[child] = found[parent]
                waiting.append(child)
    return found


def _carriers(socket: str) -> Found:
    mark = os.fsencode(f"unix://{socket}")
    found = {}
    for pid in tree.processes():
        carried = tree.environment(pid)
        identity = tree.identify(pid)
        if identity and carried.get(tree.SERVER_URL) == mark and _sees_folder_of(socket, pid):
            names = carried.get(tree.GROUP_NAME, b""), carried.get(tree.PROCESS_NAME, b"")
            found[identity] = Owner(*(name.decode(errors="replace") for name in names))
    return found


def _sees_folder_of(socket: str, pid: int) -> bool:
    """Whether the path means the same folder to a process: a container's may look like ours from outside.

    Who can't see it is ours as well unless in a container: it has changed its root or what is mounted there.
    """
    folder = os.path.realpath(os.path.dirname(socket))  # a link would lead back to ours
    try:
        return os.path.samefile(f"/proc/{pid}/root{folder}", folder)
    except OSError:
        return _pid_namespace(pid) == _pid_namespace(os.getpid())


def _pid_namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _noted(folder: str) -> Found:
    """Those that were noted, with their whole sessions: a program's process has begun one of its own."""
    noted = {identity.pid: (identity, owner) for owner, identity in notes.read(folder)}
    found = dict(noted.values())
    for pid in tree.processes() if noted else ():
        leader = noted.get(tree.session(pid) or 0)
        identity = tree.identify(pid)
        if leader and identity and tree.identify(leader[0].pid) == leader[0]:
            found.setdefault(identity, leader[1])
    return found


def end(search: Callable[[], Found], grace_of: Callable[[Owner], float]) -> set[Identity]:
    """End all that a search finds, until it finds nothing; returns who that was.

    SIGTERM, parents first, and SIGKILL after the grace period; without one SIGKILL at once. Raises
    TimeoutError if that is of no use.
    """
    begun = time.monotonic()
    told: set[Identity] = set()
    while found := search():
        now = time.monotonic() - begun
        for identity in sorted(found, key=lambda each: (each.start_time, each.pid)):
            grace = grace_of(found[identity])
            if now >= grace:
                tree.send(identity, signal.SIGKILL)
            elif identity not in told:
                tree.terminate(identity)
            if now >= grace + _KILL_SECONDS:
                raise TimeoutError(f"process {identity.pid} lives on after SIGKILL")
        told |= set(found)
        _wait_until_gone(found)
    return told


def _wait_until_gone(processes: Iterable[Identity]) -> None:
    deadline = time.monotonic() + _SEARCH_AGAIN_SECONDS
    while time.monotonic() < deadline and any(tree.identify(each.pid) == each for each in processes):
        time.sleep(_LOOK_AGAIN_SECONDS)
