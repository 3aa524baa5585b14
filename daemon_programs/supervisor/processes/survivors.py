"""Find and end what a killed supervisord has left running.

A process belongs to the stack if it was noted when it was started (`notes`), if it carries the mark of one
that was (`marks`), or if it descends from such a process. Does not import Django.
"""

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from daemon_programs.supervisor.processes import marks, notes, tree
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.tree import Identity

_LOOK_AGAIN_SECONDS = 0.02
_SEARCH_AGAIN_SECONDS = 0.5  # a process that is being ended may start others meanwhile
_KILL_SECONDS = 10.0  # after SIGKILL only the kernel can delay the end
# Any local user may lower a limit to the mark of a program. Of a user who isn't the program's, a process
# is ended as well, but it can't delay the start for the program's whole grace period.
_DOUBTFUL_GRACE_SECONDS = 2.0


@dataclass
class Survivors:
    """The living processes that belong to a stack, each with its owner."""

    owners: dict[Identity, Owner] = field(default_factory=dict)
    mains: set[Identity] = field(default_factory=set)  # those that supervisord started itself
    doubtful: set[Identity] = field(default_factory=set)  # marked, but of a user who isn't the program's

    def has_main(self, owner: Owner) -> bool:
        """Return whether the process that supervisord started for an owner is still alive."""
        return any(self.owners.get(identity) == owner for identity in self.mains)


def find(notes_folder: str) -> Survivors:
    """Return all living processes of the stack with this folder of notes."""
    found = Survivors()
    claims = {}
    for note in notes.read(notes_folder):
        if tree.identify(note.identity.pid) == note.identity:
            found.owners[note.identity] = note.owner
            found.mains.add(note.identity)
        if note.claim is not None:
            claims[note.claim.mark] = note
    if claims:
        _add_marked(found, claims)
    _add_descendants(found)
    return found


def _add_marked(found: Survivors, claims: dict[marks.Mark, notes.Note]) -> None:
    for pid in tree.processes():
        mark = marks.read(pid)
        note = claims.get(mark) if mark else None
        identity = tree.identify(pid) if note else None
        if note is None or note.claim is None or identity is None:
            continue
        if identity not in found.owners:
            found.owners[identity] = note.owner
            if note.claim.uid not in (tree.real_uid(pid), 0):
                found.doubtful.add(identity)


def _add_descendants(found: Survivors) -> None:
    waiting = list(found.owners)
    while waiting:
        parent = waiting.pop()
        for pid in tree.children(parent.pid):
            child = tree.identify(pid)
            if child is not None and child not in found.owners:
                found.owners[child] = found.owners[parent]
                waiting.append(child)


def end(search: Callable[[], Survivors], grace_of: Callable[[Owner], float]) -> set[Identity]:
    """End all processes that a search finds, until it finds none, and return them.

    A program's own process gets SIGTERM first; what is left of its tree follows when it has ended, or after
    three quarters of the grace period (in seconds), and SIGKILL at its end. With a grace period of 0, send
    SIGKILL at once. All programs are ended side by side. Raise TimeoutError if a process is still alive 10
    seconds after SIGKILL.
    """
    started_at = time.monotonic()
    asked: set[Identity] = set()
    ended: set[Identity] = set()
    while (found := search()).owners:
        elapsed = time.monotonic() - started_at
        for identity in sorted(found.owners, key=lambda each: (each.start_time, each.pid)):
            owner = found.owners[identity]
            grace = grace_of(owner)
            if identity in found.doubtful:
                grace = min(grace, _DOUBTFUL_GRACE_SECONDS)
            waits_for_main = found.has_main(owner) and identity not in found.mains
            if elapsed >= grace:
                tree.send(identity, signal.SIGKILL)
            elif identity not in asked and not (waits_for_main and elapsed < 0.75 * grace):
                asked.add(identity)
                tree.terminate(identity)
            if elapsed >= grace + _KILL_SECONDS:
                raise TimeoutError(f"process {identity.pid} lives on after SIGKILL")
        ended |= set(found.owners)
        _wait_until_gone(found.owners)
    return ended


def _wait_until_gone(processes: Iterable[Identity]) -> None:
    deadline = time.monotonic() + _SEARCH_AGAIN_SECONDS
    while time.monotonic() < deadline and any(tree.identify(each.pid) == each for each in processes):
        time.sleep(_LOOK_AGAIN_SECONDS)
