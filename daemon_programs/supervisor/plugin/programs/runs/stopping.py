"""The part of a process that is about its stops: asked to end, with all of its tree."""

import signal
import time
from typing import Any

from supervisor.states import ProcessStates

from daemon_programs.supervisor.plugin.programs import launch
from daemon_programs.supervisor.plugin.programs.configuration import ProgramConfig
from daemon_programs.supervisor.plugin.programs.runs.ending import LOOK_AGAIN_SECONDS, Ending
from daemon_programs.supervisor.plugin.programs.runs.reloads import Reloads
from daemon_programs.supervisor.plugin.programs.runs.restarted import RestartedRun
from daemon_programs.supervisor.processes import signals

SUPERVISORD = "supervisord"  # causes what was not requested: see `daemon_programs.actors`
_ASK_ALL_AFTER = 0.75  # of the grace period: then the whole tree is asked to end, if the process has not


class StoppableRun(RestartedRun):
    """Ends the whole tree of a run, on request or for a reason of its own."""

    is_held = False  # in STARTING, until what the program depends on is as far as it is to be
    launch_at: float | None = None  # the end of delay_seconds, while that passes
    ended_at = 0.0
    by = SUPERVISORD  # who caused its present state
    start_by = SUPERVISORD  # who requested the next start
    start_requested = False  # start as soon as the last run has ended
    restart_reason = ""  # why it is being stopped to be started again, if that was not requested
    end: Ending | None = None  # while processes of the tree are being ended
    _step_at = 0.0  # when the next step of that is due

    def __init__(self, config: ProgramConfig, group: Any) -> None:
        super().__init__(config, group)
        self.reloads = Reloads(self)

    @property
    def ending(self) -> bool:
        """Whether processes of the tree are being ended."""
        return self.end is not None

    def stop(self, by: str = SUPERVISORD) -> None:
        """Stop the whole tree. The state is STOPPING until no process of it is left."""
        if self.state != ProcessStates.STOPPING or self.restart_reason:
            self.by = by
        self.administrative_stop = True
        self.start_requested = False
        self.restart_reason = ""
        self.laststopreport = 0
        if self.state == ProcessStates.STARTING and not self.pid and not self.is_preparing:
            self.launch_at = None
            self.is_held = False
            self.change_state(ProcessStates.STOPPED)
        elif self.state != ProcessStates.STOPPING:  # a second stop must not interrupt the clean-up
            self.kill(signal.SIGTERM if self.config.stopwaitsecs else signal.SIGKILL)

    def restart_because(self, reason: str, *, is_planned: bool = False) -> None:
        """Stop what runs, with its grace period, and start it again without a request.

        The reason is one of `daemon_programs.actors`, for the history and ``last_run``. A restart that is
        not planned is treated like one after a crash: a pause precedes the start. A request that comes
        meanwhile wins.
        """
        if not self.pid or self.state not in (ProcessStates.STARTING, ProcessStates.RUNNING):
            return
        self.group.wake()
        if self.state == ProcessStates.RUNNING:
            self._count_run(time.monotonic())
        self.stop(reason)
        self.restart_reason = reason
        if is_planned:
            self.restarts += 1
            self.start_by = reason
            self.start_requested = True

    def kill(self, sig: int) -> str | None:
        """Ask the process to end, then its tree; return an error message if nothing runs.

        SIGKILL ends the whole tree at once. In BACKOFF there is no process to signal: the pending restart is
        cancelled. Called by supervisord too.
        """
        if self.state == ProcessStates.BACKOFF:
            self.change_state(ProcessStates.STOPPED)
            return None
        if not self.pid and not self.is_preparing:
            return f"attempted to kill {self.config.name} but it wasn't running"
        now = time.monotonic()
        if self.state != ProcessStates.STOPPING:
            self.killing = True
            self._end_observation()
            grace = self.config.stopwaitsecs
            end = self._begin_end(kill_at=now + grace, tree_at=now + self._ask_all_after * grace)
            end.main_signal = self.config.stopsignal
            if self.config.stop_scope == signals.TREE:
                end.tree_signal = self.config.stopsignal
            end.ask_main()
            self.change_state(ProcessStates.STOPPING)
        if sig == signal.SIGKILL and self.end is not None:
            self.end.kill_at = now
        self._step_end(now)
        return None

    @property
    def _ask_all_after(self) -> float:
        """After which part of the grace period the whole tree is asked."""
        at_once = self.config.stop_scope == signals.TREE or self.config.terminal or self.config.private_folder
        return 0.0 if at_once else _ASK_ALL_AFTER

    def _begin_end(self, *, kill_at: float, tree_at: float) -> Ending:
        owner, orphans = self._owner, self.context.orphans
        self.end = Ending(
            main=lambda: self.pid,
            # The command of a reload ends with the tree.
            orphans=lambda: [self.reloads.pid, *orphans.of(owner, at_most_every=LOOK_AGAIN_SECONDS)],
            is_gone=lambda: (
                not self.reloads.pid and orphans.are_gone(owner, max(self.ended_at, self.reloads.ended_at))
            ),
            kill_at=kill_at,
            tree_at=tree_at,
            hangs_up=self.config.terminal,
        )
        return self.end

    def _step_end(self, now: float) -> None:
        """Go on ending the tree. Once nothing is left, complete the end."""
        due = self.end.step(now) if self.end else None
        if due is None:
            self._complete_end()
        elif due <= now:
            self.context.wakeup.poke()
        elif due != self._step_at:
            self._step_at = due
            self.context.wakeup.at(due)

    def _complete_end(self) -> None:
        self.end = None
        self.preparation = None
        # Not earlier: what is left of the tree may still write, and a closed pipe would end it at once.
        self._keep_output()
        self._close_pipes()
        self._forget()
        with self.context.contained(f"the private folder of {self.config.name} could not be removed"):
            launch.remove_private_folder(self.config)
        if self.state == ProcessStates.STOPPING:
            self.killing = False
            if self.restart_reason and not self.start_requested:
                self._pause()
            else:
                self.change_state(ProcessStates.STOPPED)
            self.restart_reason = ""
        self.context.announce_settled(self.group.config.name)
        self.context.wakeup.poke()
