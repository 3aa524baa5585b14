"""The end of a process tree: asked to end, then forced to, a limited step at each turn of the loop.

A signal that is not meant to end a tree goes through it in the same steps.
"""

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon_programs.supervisor.processes.tree import Identity, children, identify, send

LOOK_AGAIN_SECONDS = 0.02
_STEP_SECONDS = 0.003  # how long one step may take: the loop serves all programs
_REST = 10  # a walk through a large tree is repeated after so many times as long as it took


@dataclass
class Ending:
    """What is being done to end one tree. Times are of the monotonic clock.

    First the program's own process is asked, then, once it has ended or at ``tree_at``, all others; from
    ``kill_at`` on everything is killed. Each process is asked once, parents before their children.
    """

    main: Callable[[], int]  # the pid of the program's own process; 0 when it has ended
    orphans: Callable[[], list[int]]
    is_gone: Callable[[], bool]  # whether nothing is left of the tree but its own process
    kill_at: float
    tree_at: float  # when the whole tree is asked though its own process lives on
    main_signal: signal.Signals = signal.SIGTERM
    tree_signal: signal.Signals = signal.SIGTERM  # for all others
    hangs_up: bool = False  # send SIGHUP too: interactive shells ignore SIGTERM
    _signalled: set[Identity] = field(default_factory=set)
    _walk: "_Walk | None" = None
    _next_walk_at: float = 0.0
    _is_forced: bool = False

    def ask_main(self) -> None:
        """Ask the program's own process to end."""
        if identity := identify(self.main()):
            self._ask(identity, True, self.main_signal)

    def step(self, now: float) -> float | None:
        """Do what is due; return when the next step is due, or None when nothing is left of the tree."""
        if self.main() and now < min(self.tree_at, self.kill_at):
            return min(self.tree_at, self.kill_at)
        if not self.main() and self.is_gone():
            return None
        is_forced = now >= self.kill_at
        if is_forced and not self._is_forced:
            self._is_forced, self._walk, self._next_walk_at = True, None, now
        if self._walk is None and now >= self._next_walk_at:
            self._walk = _Walk([self.main(), *self.orphans()])
        if self._walk is not None:
            self._go_on(self._walk, now)
        if self._walk is not None:
            return now  # go on at the next turn
        return min(self._next_walk_at, self.kill_at) if now < self.kill_at else self._next_walk_at

    def _go_on(self, walk: "_Walk", now: float) -> None:
        begun = time.monotonic()
        for identity, is_child in walk:
            if self._is_forced:
                _signal(identity, is_child, signal.SIGKILL)
            else:
                self._ask(identity, is_child, self.tree_signal)
            if time.monotonic() - begun > _STEP_SECONDS:
                walk.seconds += time.monotonic() - begun
                return
        walk.seconds += time.monotonic() - begun
        self._walk = None
        rest = walk.seconds * (1 if self._is_forced else _REST)
        self._next_walk_at = now + max(LOOK_AGAIN_SECONDS, rest)

    def _ask(self, identity: Identity, is_child: bool, signum: signal.Signals) -> None:
        if identity in self._signalled:
            return
        self._signalled.add(identity)
        # A suspended process hears what it was asked only once it continues.
        for each in (signum, signal.SIGCONT, *([signal.SIGHUP] if self.hangs_up else [])):
            _signal(identity, is_child, each)


class TreeSignal:
    """A signal on its way to the processes of a tree, each of which gets it once.

    ``is_own`` tells whether a pid is one of the tree still: in a large tree it may be another's by its turn.
    """

    def __init__(self, roots: list[int], signum: signal.Signals, is_own: Callable[[int], bool]) -> None:
        self._walk = _Walk(roots)
        self._signum = signum
        self._is_own = is_own

    def step(self) -> bool:
        """Go on for a limited time; return whether all have got it."""
        begun = time.monotonic()
        for identity, is_child in self._walk:
            if self._is_own(identity.pid):
                _signal(identity, is_child, self._signum)
            if time.monotonic() - begun > _STEP_SECONDS:
                return False
        return True


def _signal(identity: Identity, is_child: bool, signum: signal.Signals) -> None:
    """Signal a process. The pid of a child can't be reused until supervisord has reaped it."""
    if not is_child:
        send(identity, signum)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(identity.pid, signum)


class _Walk:
    """One pass through a tree, from its roots down, which are children of supervisord."""

    def __init__(self, roots: list[int]) -> None:
        self.seconds = 0.0
        self._roots = {pid for pid in roots if pid}
        self._waiting = deque(pid for pid in roots if pid)
        self._seen: set[int] = set()

    def __iter__(self) -> "_Walk":
        return self

    def __next__(self) -> tuple[Identity, bool]:
        while self._waiting:
            pid = self._waiting.popleft()
            if pid in self._seen:
                continue
            self._seen.add(pid)
            self._waiting.extend(children(pid))
            if identity := identify(pid):
                return identity, pid in self._roots
        raise StopIteration
