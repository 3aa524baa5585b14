"""The end of supervisord: fast with many programs, and without leaving processes behind."""

import time
from typing import Any

from daemon_programs.supervisor.plugin.context import Context
from daemon_programs.supervisor.plugin.programs.runs.ending import LOOK_AGAIN_SECONDS, Ending

_UNCLAIMED_GRACE_SECONDS = 5.0


class Shutdown:
    """Replaces what stock supervisord does between its groups' ends and its own."""

    def __init__(self, supervisord: Any, context: Context) -> None:
        self._supervisord = supervisord
        self._context = context
        self._report = supervisord.shutdown_report
        self._end: Ending | None = None  # of unclaimed processes

    def install(self) -> None:
        """Take the place of supervisord's own methods."""
        self._supervisord.ordered_stop_groups_phase_2 = self.skip_stopped_groups
        self._supervisord.shutdown_report = self.report

    def skip_stopped_groups(self) -> None:
        """Go on to a group that runs: stock supervisord takes a second for each, even if it is stopped."""
        groups = self._supervisord.stop_groups or []  # None before the shutdown
        before = len(groups)
        while groups and not groups[-1].get_unstopped_processes():
            groups.pop()
        if len(groups) < before:
            self._context.wakeup.poke()  # the next turn stops the next group

    def report(self) -> list[Any]:
        """Return what keeps supervisord from ending: unstopped processes, then unclaimed ones."""
        unstopped: list[Any] = self._report()
        return unstopped or self._end_unclaimed()

    def _end_unclaimed(self) -> list[int]:
        """End the processes that belong to no program, and return those that are left."""
        orphans = self._context.orphans
        if not orphans.look(at_most_every=LOOK_AGAIN_SECONDS):
            self._context.wakeup.poke()
            return [0]
        left = orphans.unclaimed()
        if not left:
            return []
        now = time.monotonic()
        if self._end is None:
            self._end = Ending(
                main=lambda: 0,
                orphans=orphans.unclaimed,
                is_gone=lambda: not orphans.unclaimed(),
                kill_at=now + _UNCLAIMED_GRACE_SECONDS,
                tree_at=now,
            )
        due = self._end.step(now)
        self._context.wakeup.at(now + LOOK_AGAIN_SECONDS if due is None else due)
        return left
