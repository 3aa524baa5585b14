"""Look every few seconds at the memory of the programs that have a limit.

All trees together get a few milliseconds in a turn of supervisord's loop, and then a rest of several times
as long. They take turns, so that a tree of thousands of processes delays neither the others nor the loop.
Nothing is done while no program with a limit runs.
"""

import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon_programs.supervisor.processes.memory import Measurement

LOOK_SECONDS = 3.0
_LOOKS = 2  # in a row that find too much: a peak is none
_STEP_SECONDS = 0.003
_REST = 10  # times as long as the step took


@dataclass(eq=False)
class WatchedTree:
    """A process tree, its limit, and what is to be done when it has exceeded it."""

    limit_bytes: int
    roots: Callable[[], list[int]]
    exceed: Callable[[], None]
    _looks: int = field(default=0, init=False)  # in a row that have found too much
    _measurement: Measurement | None = field(default=None, init=False)

    def look(self, until: float) -> bool:
        """Go on with a look until a time of the monotonic clock; return whether it is complete."""
        if self._measurement is None:
            self._measurement = Measurement(self.roots(), enough=self.limit_bytes)
        if not self._measurement.go_on(until):
            return False
        self._looks = self._looks + 1 if self._measurement.is_enough else 0
        self._measurement = None
        if self._looks >= _LOOKS:
            self._looks = 0
            self.exceed()
        return True


class MemoryWatch:
    """The trees that are looked at, in rounds."""

    def __init__(
        self, call_at: Callable[[float, Callable[[], None]], None], log: Callable[[str], None]
    ) -> None:
        """Use ``call_at`` to be called at a time of the monotonic clock, in a turn of the loop."""
        self._call_at = call_at
        self._log = log
        self._trees: dict[WatchedTree, None] = {}  # in the order in which they came
        self._round: deque[WatchedTree] = deque()  # those that this round has not looked at yet
        self._round_begun_at = 0.0
        self._is_awake = False

    def watch(self, tree: WatchedTree) -> None:
        """Look at a tree from the next round on."""
        self._trees[tree] = None
        if not self._is_awake:
            self._sleep_until(time.monotonic() + LOOK_SECONDS)

    def forget(self, tree: WatchedTree) -> None:
        """Look at a tree no more."""
        self._trees.pop(tree, None)

    def _sleep_until(self, deadline: float) -> None:
        self._is_awake = True
        self._call_at(deadline, self._step)

    def _step(self) -> None:
        begun = time.monotonic()
        if not self._trees:
            self._is_awake = False
            self._round.clear()
            return
        if not self._round:
            self._round_begun_at = begun
            self._round.extend(self._trees)
        while self._round and time.monotonic() < begun + _STEP_SECONDS:
            self._look_at(self._round.popleft(), begun + _STEP_SECONDS)
        now = time.monotonic()
        rested = now + (now - begun) * _REST
        self._sleep_until(rested if self._round else max(rested, self._round_begun_at + LOOK_SECONDS))

    def _look_at(self, tree: WatchedTree, until: float) -> None:
        if tree not in self._trees:
            return
        try:
            if not tree.look(until):
                self._round.append(tree)
        except Exception:  # the fault of one must not end the others' watch
            self._log(f"the memory of a program could not be looked at: {traceback.format_exc()}")
