"""What the processes of a running supervisord share: the way to wake it, its orphans, its settings."""

import json
import os
import pwd
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from daemon_programs.supervisor.notes import Owner
from daemon_programs.supervisor.plugin.broadcast import Broadcast
from daemon_programs.supervisor.plugin.journal import Journal
from daemon_programs.supervisor.plugin.wakeup import Wakeup
from daemon_programs.supervisor.tree import (
    GROUP_NAME,
    PROCESS_NAME,
    SERVER_URL,
    Identity,
    children,
    environment,
    identify,
    real_uid,
    session,
)

if TYPE_CHECKING:
    from daemon_programs.supervisor.plugin.registry import Registry


class Orphans:
    """Children that supervisord did not start: what its programs left behind.

    As a subreaper supervisord becomes the parent of every descendant whose own parent has ended,
    and what each carries in its environment tells from which program it comes.
    """

    def __init__(self, own: dict[int, object], server_url: str) -> None:
        self.own = own  # supervisord's pidhistory: the children that it did start
        self.server_url = server_url  # another stack may run below this one
        self._looked_at = 0.0
        self._owners: dict[Identity, Owner | None] = {}
        self._pids: dict[Owner, list[int]] = {}
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

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        owners: dict[Identity, Owner | None] = {}
        pids: dict[Owner, list[int]] = {}
        for pid in children(os.getpid()):
            if pid in self.own or not (identity := identify(pid)):
                continue
            owner = self._owners[identity] if identity in self._owners else self._owner(pid)
            owners[identity] = owner
            if owner:
                pids.setdefault(owner, []).append(pid)
        self._owners = owners
        self._pids = pids

    def _owner(self, pid: int) -> Owner | None:
        carried = environment(pid)
        if SERVER_URL not in carried:  # it has lost them, or overwritten that memory
            return self._sessions.get(session(pid) or 0)
        if carried[SERVER_URL] != os.fsencode(self.server_url):
            return None
        try:
            owner = Owner(carried[GROUP_NAME].decode(), carried[PROCESS_NAME].decode())
        except (KeyError, UnicodeDecodeError):
            return None
        return owner if _can_be_of(owner, pid) else None


def _can_be_of(owner: Owner, pid: int) -> bool:
    """Whether a program of that user can have left it behind: marks can be forged, a user can't.

    Whoever carries another user's marks would be ended with their program, and hold up that end.
    """
    group = CONTEXT.registry.find(owner.group)
    uid = real_uid(pid)
    if group is None or uid in (None, 0):
        return True
    try:
        return pwd.getpwnam(group.config.spec["user"]).pw_uid in (0, uid)
    except KeyError:
        return True


class Context:
    """Filled in by the interface's factory, before anything is started."""

    wakeup: Wakeup
    broadcast: Broadcast
    journal: Journal
    registry: "Registry"
    log: Callable[[str], None]
    orphans: Orphans
    noted: str  # the folder of `notes`
    passed_environment: tuple[str, ...] = ()
    allowed_users: tuple[str, ...] = ()  # none: any, as with the folders
    work_roots: tuple[str, ...] = ()
    log_roots: tuple[str, ...] = ()
    logs: str | None = None  # where logs are that programs don't name
    open_files_limit: tuple[int, int]

    @contextmanager
    def contained(self, what: str) -> Iterator[None]:
        """Keep a fault to the program that it is about: uncaught, it would end supervisord."""
        try:
            yield
        except Exception:
            self.log(f"{what}: {traceback.format_exc()}")

    def tell_change(self, change: dict[str, Any]) -> None:
        """Tell whoever waits, and the event listener, that a process has changed its state."""
        self._broadcast(change)
        self.journal.add(change)

    def tell_end(self, group: str, state: dict[str, Any]) -> None:
        """Tell whoever waits, and the event listener, that a temporary program is over."""
        self.tell_settled(group)
        self.journal.add({"group": group, "end": state})

    def tell_settled(self, group: str) -> None:
        """Tell whoever waits that a change of a group, or the end of a tree, is complete."""
        self._broadcast({"group": group, "settled": True})

    def tell_recorded(self) -> None:
        """Tell whoever follows what happens that there is more in the history now."""
        self._broadcast({"group": "", "recorded": True})

    def _broadcast(self, line: dict[str, Any]) -> None:
        self.broadcast.send(json.dumps(line).encode() + b"\n")


CONTEXT = Context()
