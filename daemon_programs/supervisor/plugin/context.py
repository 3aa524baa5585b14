"""What the processes of a running supervisord share: the way to wake it, its orphans, its settings."""

import hmac
import json
import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from daemon_programs.supervisor.plugin.broadcast import Broadcast
from daemon_programs.supervisor.plugin.journal import Journal
from daemon_programs.supervisor.plugin.wakeup import Wakeup
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

if TYPE_CHECKING:
    from daemon_programs.supervisor.plugin.registry import Registry


_MOST_LOOKS = 20
_LONGEST_END_SECONDS = 1.0


class Orphans:
    """Children that supervisord did not start: what its programs left behind.

    As a subreaper supervisord becomes the parent of every descendant whose own parent has ended,
    and what each carries in its environment tells from which program it comes.
    """

    def __init__(self, own: dict[int, object], server_url: str) -> None:
        self.own = own  # supervisord's pidhistory: the children that it did start
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
        return _marked(carried, pid) or self._sessions.get(session(pid) or 0)


def _marked(carried: dict[bytes, bytes], pid: int) -> Owner | None:
    """Whose it is by what it carries. Marks can be forged, but not the key that goes with them.

    Whoever was believed to be of another program would be ended with it, and hold up that end.
    """
    try:
        owner = Owner(carried[GROUP_NAME].decode(), carried[PROCESS_NAME].decode())
    except (KeyError, UnicodeDecodeError):
        return None  # it has lost them, or overwritten that memory
    if hmac.compare_digest(carried.get(PROCESS_KEY, b""), CONTEXT.key_of(owner).encode()):
        return owner
    # The stack's own processes are started by stock supervisord, without a key.
    is_part = CONTEXT.registry.find(owner.group) is None and real_uid(pid) == os.geteuid()
    return owner if is_part else None


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

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def key_of(self, owner: Owner) -> str:
        """What a process carries that only supervisord can have given it, and other users can't read."""
        return hmac.digest(self._secret, ":".join(owner).encode(), "sha256").hex()

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
