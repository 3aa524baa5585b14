"""Find the orphaned processes of programs: children of supervisord that it did not start."""

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
    is_exiting,
    real_uid,
    session,
)

_MOST_PASSES = 20
_LONGEST_EXIT_SECONDS = 1.0


class Orphans:
    """The orphaned processes of all programs, by owner.

    As a subreaper supervisord becomes the parent of every descendant whose own parent has ended. The
    environment markers of a process, or its session, show to which program it belongs.
    """

    def __init__(
        self, own: dict[int, object], server_url: str, keys: Keys, is_program: Callable[[str], bool]
    ) -> None:
        self.own = own  # supervisord's pidhistory: the children that it has started, by pid
        self._keys = keys
        self._is_program = is_program  # False for groups of the stack's own processes
        self._server_url = os.fsencode(server_url)  # another stack may run below this one
        self._updated_at = 0.0
        self._owners: dict[Identity, Owner | None] = {}
        self._pids: dict[Owner, list[int]] = {}
        self._exiting_since: float | None = None
        self._sessions: dict[int, Owner] = {}

    def add_session(self, pid: int, owner: Owner) -> None:
        """Count all processes of a session as the owner's. ``pid`` is its leader, which was just started."""
        self._sessions[pid] = owner

    def forget_session(self, pid: int) -> None:
        """Forget a session of which no process is left. Until then the system does not reuse its number."""
        self._sessions.pop(pid, None)

    def of(self, group: str, process: str, since: float) -> list[int]:
        """Return the pids of a process' orphans, read after ``since`` (monotonic clock).

        One update answers all questions about the same moment, so that a thousand processes that end
        together need only one.
        """
        if self._updated_at <= since:
            self._update()
        return list(self._pids.get(Owner(group, process), ()))

    @property
    def may_get_more(self) -> bool:
        """Whether the children of an exiting process may still become orphans of a program.

        An exiting process has lost its environment markers, so it is not known to which program it
        belongs. It is considered for a second only, since one that hangs in the kernel must not delay
        the end of other programs.
        """
        since = self._exiting_since
        return since is not None and self._updated_at - since < _LONGEST_EXIT_SECONDS

    def _update(self) -> None:
        """Read the children until a pass finds no new ones.

        A process that keeps forking and exiting at once changes its pid between two passes, and would be
        missed by a single one.
        """
        self._updated_at = time.monotonic()
        owners: dict[Identity, Owner | None] = {}
        pids: dict[Owner, list[int]] = {}
        has_exiting = False
        seen: set[int] = set()
        for _ in range(_MOST_PASSES):
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
                has_exiting |= owner is None and is_exiting(pid)
        self._owners = owners
        self._pids = pids
        if not has_exiting:
            self._exiting_since = None
        elif self._exiting_since is None:
            self._exiting_since = self._updated_at

    def _owner(self, pid: int) -> Owner | None:
        markers = environment(pid)
        if markers.get(SERVER_URL, self._server_url) != self._server_url:
            return None
        return self._marked_owner(markers, pid) or self._sessions.get(session(pid) or 0)

    def _marked_owner(self, markers: dict[bytes, bytes], pid: int) -> Owner | None:
        """Return the owner that the environment markers of a process name, if they are genuine.

        With forged markers a process could pose as another program's, and delay the end of that program.
        """
        try:
            owner = Owner(markers[GROUP_NAME].decode(), markers[PROCESS_NAME].decode())
        except (KeyError, UnicodeDecodeError):
            return None  # cleared, or overwritten by the process
        if self._keys.matches(markers.get(PROCESS_KEY, b""), owner):
            return owner
        # Stock supervisord starts the stack's own processes, and gives them no key.
        is_part = not self._is_program(owner.group) and real_uid(pid) == os.geteuid()
        return owner if is_part else None
