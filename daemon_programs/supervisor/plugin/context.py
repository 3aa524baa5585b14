"""What the processes of a running supervisord share: the way to wake it, its orphans, its settings."""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from supervisor import events

from daemon_programs.supervisor.events import END_EVENT_TYPE
from daemon_programs.supervisor.plugin.broadcast import Broadcast
from daemon_programs.supervisor.plugin.wakeup import Wakeup
from daemon_programs.supervisor.tree import (
    GROUP_NAME,
    PROCESS_NAME,
    SERVER_URL,
    Identity,
    children,
    environment,
    identify,
)

if TYPE_CHECKING:
    from daemon_programs.supervisor.plugin.registry import Registry

Owner = tuple[str, str]  # group and process


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

    def of(self, group: str, process: str, since: float) -> list[int]:
        """The pids of a process' orphans, as they were ``since`` (monotonic clock) or later.

        One look serves everybody who asks about the same moment: a thousand processes that end
        together cost one look, and one process among a thousand costs one small file.
        """
        if self._looked_at <= since:
            self._look()
        return list(self._pids.get((group, process), ()))

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
        if carried.get(SERVER_URL) != os.fsencode(self.server_url):
            return None
        try:
            return carried[GROUP_NAME].decode(), carried[PROCESS_NAME].decode()
        except (KeyError, UnicodeDecodeError):
            return None


class Context:
    """Filled in by the interface's factory, before anything is started."""

    wakeup: Wakeup
    broadcast: Broadcast
    registry: "Registry"
    log: Callable[[str], None]
    orphans: Orphans
    passed_environment: tuple[str, ...] = ()
    open_files_limit: tuple[int, int]

    @contextmanager
    def contained(self, what: str) -> Iterator[None]:
        """Keep a fault to the program that it is about: uncaught, it would end supervisord."""
        try:
            yield
        except Exception:
            self.log(f"{what}: {traceback.format_exc()}")

    def tell_end(self, group: str, state: dict[str, Any]) -> None:
        """Tell listeners and the event listener process that a temporary program is over."""
        self.tell_settled(group)
        text = json.dumps({"group": group, "state": state})
        events.notify(events.RemoteCommunicationEvent(END_EVENT_TYPE, text))

    def tell_settled(self, group: str) -> None:
        """Tell the listeners that a change of a group, or the end of a tree, is complete."""
        self.broadcast.send(json.dumps({"group": group, "settled": True}).encode() + b"\n")


CONTEXT = Context()
