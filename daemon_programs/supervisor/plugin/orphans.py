"""Children that supervisord did not start: what its programs left behind."""

import os
import time
from collections.abc import Callable

from daemon_programs.supervisor.plugin.keys import Keys
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.processes.tree import (
    GROUP_NAME,
    PROCESS_KEY,
    PROCESS_NAME,
    SERVER_URL,
    Identity,
    children,
    environment,
    identify,
    is_ending,
    real_uid,
    session,
)

_MOST_LOOKS = 20
_LONGEST_END_SECONDS = 1.0


class Orphans:
    """Children that supervisord did not start: what its programs left behind.

    As a subreaper supervisord becomes the parent of every descendant whose own parent has ended,
    and what each carries in its environment tells from which program it comes.
    """

    def __init__(
        self, own: dict[int, object], server_url: str, keys: Keys, is_program: Callable[[str], bool]
    ) -> None:
        self.own = own  # supervisord's pidhistory: the children that it did start
        self._keys = keys
        self._is_program = is_program  # whether a group is a program's, not a part of the stack
        self._mark = os.fsencode(server_url)  # another stack may run below this one
        self._looked_at = 0.0
        self._owners: dict[Identity, Owner | None] = {}
        self._pids: dict[Owner, list[int]] = {}
        self._unsettled_since: float | None = None
        self._sessions: dict[int, Owner] = {}

    def add_session(self, pid: int, owner: Owner) -> None:
        """A process that was started has begun a session: who is in it belongs to it as well."""
        self._sessions[pid] = owner

    def forget_session(self, pid: int) -> None:
        """Nothing of it is left; until then the system gives the number to nobody else."""
        self._sessions.pop(pid, None)

    def of(self, group: str, process: str, since: float) -> list[int]:
        """The pids of a process' orphans, as they were ``since`` (monotonic clock) or later.

        One look serves everybody who asks about the same moment: a thousand processes that end
        together cost one look, and one process among a thousand costs one small file.
        """
        if self._looked_at <= since:
            self._look()
        return list(self._pids.get(Owner(group, process), ()))

    @property
    def may_get_more(self) -> bool:
        """Whether somebody was ending at the last look: without marks by then, and still a parent.

        Not for ever: what the kernel can't end must not hold up others.
        """
        since = self._unsettled_since
        return since is not None and self._looked_at - since < _LONGEST_END_SECONDS

    def _look(self) -> None:
        """Look until nobody new has come meanwhile: who forks and ends at once is always between two pids."""
        self._looked_at = time.monotonic()
        owners: dict[Identity, Owner | None] = {}
        pids: dict[Owner, list[int]] = {}
        unsettled = False
        seen: set[int] = set()
        for _ in range(_MOST_LOOKS):
            new = [pid for pid in children(os.getpid()) if pid not in seen]
            if not new:
                break
            seen.update(new)
            for pid in new:
                if pid in self.own or not (identity := identify(pid)):
                    continue
                owner = self._owners[identity] if identity in self._owners else self._owner(pid)
                owners[identity] = owner
                if owner:
                    pids.setdefault(owner, []).append(pid)
                unsettled |= owner is None and is_ending(pid)
        self._owners = owners
        self._pids = pids
        if not unsettled:
            self._unsettled_since = None
        elif self._unsettled_since is None:
            self._unsettled_since = self._looked_at

    def _owner(self, pid: int) -> Owner | None:
        carried = environment(pid)
        if carried.get(SERVER_URL, self._mark) != self._mark:
            return None
        return self._marked_owner(carried, pid) or self._sessions.get(session(pid) or 0)

    def _marked_owner(self, carried: dict[bytes, bytes], pid: int) -> Owner | None:
        """Return the owner that a process' environment names, if it is genuine.

        A forged marker would have a process ended with another program, and hold up that end.
        """
        try:
            owner = Owner(carried[GROUP_NAME].decode(), carried[PROCESS_NAME].decode())
        except (KeyError, UnicodeDecodeError):
            return None  # it has lost its markers, or overwritten that memory
        if self._keys.fits(carried.get(PROCESS_KEY, b""), owner):
            return owner
        # The stack's own processes are started by stock supervisord, without a key.
        is_part = not self._is_program(owner.group) and real_uid(pid) == os.geteuid()
        return owner if is_part else None
