"""Keep track of orphaned processes: children that supervisord did not start, but its programs left behind.

As a subreaper, supervisord becomes the parent of every descendant whose own parent has ended. The mark that
each carries shows which program it comes from (`processes.marks`).

A child stays in the list of children until supervisord reaps it, and new ones are added at its end. So only
what came since the last look has to be looked at, a limited number at each turn of the loop: a program that
leaves thousands of processes behind does not delay the others.
"""

import contextlib
import os
import time
from collections import deque

from daemon_programs.supervisor.processes import notes
from daemon_programs.supervisor.processes.marks import Claim, Mark, read
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.tree import children, real_uid

_MOST_PER_LOOK = 1000
_BATCH_SECONDS = 0.005  # between two such batches: many processes may ask in one turn


class Orphans:
    """The children that supervisord has adopted, by the program that they come from."""

    def __init__(self, own: dict[int, object], notes_folder: str) -> None:
        self._own = own  # supervisord's pidhistory: the children that it did start
        self._notes_folder = notes_folder
        self._helpers: set[int] = set()
        self._claims: dict[Mark, tuple[Claim, Owner]] = {}
        self._owners: dict[int, Owner | None] = {}
        self._pids: dict[Owner | None, set[int]] = {}
        self._changed_at: dict[Owner | None, float] = {}
        self._new: deque[int] = deque()
        self._reaped_meanwhile: set[int] = set()  # of those, by the time that their turn comes
        self._as_of = 0.0
        self._complete_as_of = 0.0
        self._batch_at = 0.0
        self.reaped = 0  # how many have ended so far

    def claim(self, claim: Claim, owner: Owner) -> None:
        """From now on, what carries this mark belongs to ``owner``."""
        self._claims[claim.mark] = claim, owner

    def withdraw(self, mark: Mark, owner: Owner) -> None:
        """Nothing carries this mark any more."""
        self._claims.pop(mark, None)
        self._changed_at.pop(owner, None)

    def expect_helper(self, pid: int) -> None:
        """A child that supervisord's own code has started, and which belongs to no program."""
        self._helpers.add(pid)

    def reap(self, pid: int) -> None:
        """A child has ended that supervisord did not start. Its own children are adopted by now."""
        self.reaped += 1
        self._helpers.discard(pid)
        self._reaped_meanwhile.add(pid)
        is_unclaimed = pid in self._owners and self._owners[pid] is None
        owner = self._owners.pop(pid, None)
        self._pids.get(owner, set()).discard(pid)
        if owner is not None:
            self._changed_at[owner] = time.monotonic()
        elif is_unclaimed:
            notes.forget(self._notes_folder, _unclaimed(pid))

    def of(self, owner: Owner, *, at_most_every: float | None = None) -> list[int]:
        """Return the pids of a process' orphans, as of the last look, or of one so many seconds old."""
        if at_most_every is not None:
            self.look(at_most_every=at_most_every)
        return sorted(self._pids.get(owner, ()))

    def listed(self) -> dict[str, dict[str, list[int]]]:
        """Return the pids of all processes' orphans by group and process, as of the last look."""
        found: dict[str, dict[str, list[int]]] = {}
        for owner, pids in self._pids.items():
            if owner is not None and pids:
                found.setdefault(owner.group, {})[owner.process] = sorted(pids)
        return found

    def unclaimed(self) -> list[int]:
        """Return the pids of those that belong to no program, as of the last look."""
        return sorted(self._pids.get(None, ()))

    def look(self, *, at_most_every: float = 0.0) -> bool:
        """Look at the children that have come since, and return whether all of them were looked at.

        At most 1000 are looked at in one call; the next call goes on with the others.
        """
        now = time.monotonic()
        if self._new and now - self._batch_at < _BATCH_SECONDS:
            return False
        if not self._new:
            if now - self._complete_as_of < at_most_every:
                return True
            self._as_of = now
            self._reaped_meanwhile.clear()
            self._new.extend(
                pid for pid in children(os.getpid()) if pid not in self._owners and pid not in self._own
            )
        self._batch_at = now
        for _ in range(min(len(self._new), _MOST_PER_LOOK)):
            self._add(self._new.popleft())
        if not self._new:
            self._complete_as_of = self._as_of
        return not self._new

    def are_gone(self, owner: Owner, since: float) -> bool:
        """Return whether a process has no orphans left, by a look begun after ``since`` (monotonic clock).

        An orphan that has ended may have left children of its own, so the look must be later than that, too.
        One look serves all processes that have ended before it.
        """
        if self._pids.get(owner):
            return False
        needed = max(since, self._changed_at.get(owner, 0.0))
        if self._complete_as_of <= needed:
            self.look()
        return self._complete_as_of > needed and not self._pids.get(owner)

    def _add(self, pid: int) -> None:
        if pid in self._reaped_meanwhile or pid in self._own or pid in self._helpers:
            return
        owner = self.owner_of(pid)
        self._owners[pid] = owner
        if owner is None:  # the next start of the stack could not recognize it
            with contextlib.suppress(OSError):
                notes.write(self._notes_folder, _unclaimed(pid), pid)
        self._pids.setdefault(owner, set()).add(pid)

    def owner_of(self, pid: int) -> Owner | None:
        """Return what a process belongs to by its mark; None if it has none that counts."""
        mark = read(pid)
        claim, owner = self._claims.get(mark, (None, None)) if mark else (None, None)
        if claim is None or not (claim.uid == 0 or claim.covers(real_uid(pid))):
            return None
        return owner


def _unclaimed(pid: int) -> Owner:
    """Return what an unclaimed process is noted as."""
    return Owner("unclaimed", str(pid))
