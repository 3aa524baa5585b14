"""Find the processes of a stack in the process table, and end them.

Used for what a killed supervisord has left running, and for orphaned processes. A process belongs to a
stack if it has the stack's environment markers, if it was noted when it was started (``notes``), or if it
descends from such a process. Does not import Django.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable

from daemon_programs.supervisor.processes import notes, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.tree import Identity

_LOOK_AGAIN_SECONDS = 0.02
_SEARCH_AGAIN_SECONDS = 0.5  # a process that is being ended may start others meanwhile
_KILL_SECONDS = 10.0  # after SIGKILL only the kernel can delay the end

Found = dict[Identity, Owner]


def find(socket: str, notes_folder: str) -> Found:
    """Return all living processes of the stack with this socket and this folder of notes, by identity.

    A process with markers or a note of its own belongs to the owner that these name, even if it descends
    from a process of another owner.
    """
    found = _marked(socket) | _noted(notes_folder)
    waiting = list(found)
    while waiting:
        parent = waiting.pop()
        for pid in tree.children(parent.pid):
            child = tree.identify(pid)
            if child is not None and child not in found:
                found[child] = found[parent]
                waiting.append(child)
    return found


def _marked(socket: str) -> Found:
    """Return the processes with the environment markers of the stack with this socket."""
    url = os.fsencode(f"unix://{socket}")
    found = {}
    for pid in tree.processes():
        environment = tree.environment(pid)
        identity = tree.identify(pid)
        if identity and environment.get(tree.SERVER_URL) == url and _sees_folder_of(socket, pid):
            names = environment.get(tree.GROUP_NAME, b""), environment.get(tree.PROCESS_NAME, b"")
            found[identity] = Owner(*(name.decode(errors="replace") for name in names))
    return found


def _sees_folder_of(socket: str, pid: int) -> bool:
    """Return whether the socket's folder is the same folder for a process as for this one.

    A stack in a container may use the same path, and its processes are visible from the host. A process
    that can't see the folder (it has changed its root, or mounted something over it) counts as this
    stack's if it is in the same pid namespace.
    """
    folder = os.path.realpath(os.path.dirname(socket))  # an absolute link would be resolved in our own root
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
    """Return the noted processes and the rest of their sessions: each has started one of its own."""
    noted = {identity.pid: (identity, owner) for owner, identity in notes.read(folder)}
    found = dict(noted.values())
    for pid in tree.processes() if noted else ():
        leader = noted.get(tree.session(pid) or 0)
        identity = tree.identify(pid)
        if leader and identity and tree.identify(leader[0].pid) == leader[0]:
            found.setdefault(identity, leader[1])
    return found


def end(search: Callable[[], Found], grace_of: Callable[[Owner], float]) -> set[Identity]:
    """End all processes that a search finds, until it finds none, and return them.

    Send SIGTERM, parents first, and SIGKILL after the grace period (in seconds); with a grace period of 0,
    send SIGKILL at once. Raise TimeoutError if a process is still alive 10 seconds later.
    """
    started_at = time.monotonic()
    ended: set[Identity] = set()
    while found := search():
        elapsed = time.monotonic() - started_at
        for identity in sorted(found, key=lambda each: (each.start_time, each.pid)):
            grace = grace_of(found[identity])
            if elapsed >= grace:
                tree.send(identity, signal.SIGKILL)
            elif identity not in ended:
                tree.terminate(identity)
            if elapsed >= grace + _KILL_SECONDS:
                raise TimeoutError(f"process {identity.pid} lives on after SIGKILL")
        ended |= set(found)
        _wait_until_gone(found)
    return ended


def _wait_until_gone(processes: Iterable[Identity]) -> None:
    deadline = time.monotonic() + _SEARCH_AGAIN_SECONDS
    while time.monotonic() < deadline and any(tree.identify(each.pid) == each for each in processes):
        time.sleep(_LOOK_AGAIN_SECONDS)
