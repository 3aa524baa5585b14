"""One process of a program: its start, its end and its stop.

It differs from stock supervisord's where docs/contract.md, sections 3 to 6, asks for it:

- A successful exit before ``start_seconds`` is a finished run, and is not run again.
- ``autorestart: "false"`` means no restart, also before ``start_seconds``.
- A command that can't be started at all (no such command or user, no access to the folder) is ``fatal``
  at once, with the reason.
- The exit code and the signal are kept.
- ``delay_seconds`` passes before the command is run, without a process. Then the commands of
  ``before_start`` are run, of which a failing one is like an end in the first second.
- A stop asks the process itself to end, then what is left of its tree, and is complete when no process is
  left, including those that have left their session, their environment or their user behind.
- An end after which the process is started again is followed by a pause, which doubles; restarts without
  a stable run may be limited.
- A signal that is sent right after the fork is not lost, and the child has default signal handling.
"""

import math
import os
import time
from typing import Any

from supervisor.datatypes import RestartUnconditionally
from supervisor.options import (
    ProcessException,
    decode_wait_status,
)
from supervisor.states import (
    RUNNING_STATES,
    STOPPED_STATES,
    ProcessStates,
    SupervisorStates,
    getProcessStateDescription,
)

from daemon_programs.supervisor.plugin.programs import launch
from daemon_programs.supervisor.plugin.programs.runs.ending import LOOK_AGAIN_SECONDS
from daemon_programs.supervisor.plugin.programs.runs.preparation import FailedStart, Preparation
from daemon_programs.supervisor.plugin.programs.runs.stopping import SUPERVISORD, StoppableRun
from daemon_programs.supervisor.processes import signals
from daemon_programs.supervisor.spec import AT_NEXT_START
from daemon_programs.supervisor.states import ProcessState

# What causes a change of state that was not requested: see `daemon_programs.actors`.
BOOT = "boot"
MAX_RUNTIME = "max_runtime"


class ProgramProcess(StoppableRun):
    """Replaces supervisord's process class."""

    spawnerr: str | None
    launched_with: dict[str, Any] | None = None  # the program's file, as of the start of the run

    # Starting

    def spawn(self) -> int | None:
        """Start the process, now or after the delay. Called by supervisord and by the group.

        While the last run is still ending, the start is noted and follows.
        """
        if self.pid or self.ending:
            self.start_requested = True
            self.group.wake()
            return None
        self.start_requested = False
        self.by, self.start_by = self.start_by, SUPERVISORD
        self.killing = False
        self.spawnerr = None
        self.exitstatus = None
        self.system_stop = False
        self.administrative_stop = False
        self.laststart = time.time()
        self.change_state(ProcessStates.STARTING)
        self.is_held = bool(self.group.look_at_dependencies())
        return None if self.is_held else self._delay()

    def _delay(self) -> int | None:
        """Start the process after the delay."""
        if self.config.delay_seconds:
            self.launch_at = time.monotonic() + self.config.delay_seconds
            self.context.wakeup.at(self.launch_at)
            return None
        return self._launch()

    def _launch(self) -> int | None:
        self.launch_at = None
        self.laststart = time.time()
        try:
            filename = None if self.config.before_start else launch.check(self.config)
            launch.make_folders(self.config)
            self.dispatchers, self.pipes = self.config.make_dispatchers(self)
            self.claim = self._take_mark()
        except ProcessException as problem:
            self._fail(problem.args[0])
            return None
        except OSError as problem:
            reason = f"its logs or its terminal can't be made: {launch.describe(problem)}"
            self._fail(reason, is_passing=launch.is_shortage(problem))
            return None
        except Exception as problem:
            self.context.log(f"{self.namespec} could not be started: {problem!r}")
            self._fail("it can't be started; the log of supervisord says more")
            return None
        if filename is None:
            self.preparation = Preparation(self.config.before_start)
            return self._go_on(self.preparation)
        try:
            pid = self._fork(filename)
        except OSError as problem:
            self._close_pipes()
            self._forget()
            reason = f"no process can be made: {launch.describe(problem)}"
            self._fail(reason, is_passing=launch.is_shortage(problem))
            return None
        return self._begin_run(pid)

    def _begin_run(self, pid: int) -> int:
        """Note that the program's own process was forked."""
        self._spawn_as_parent(pid)
        self._note(pid)
        self.watch_memory()
        self.launched_at = time.monotonic()
        self.launched_with = self.group.config.spec
        self._observe()
        self.context.wakeup.at(self.launched_at + self.config.startsecs)
        return pid

    def _go_on(self, preparation: Preparation) -> int | None:
        """Run the next command of ``before_start``, or the program itself after the last."""
        self.launched_at = time.monotonic()
        result = self._run_next(preparation)
        if isinstance(result, FailedStart):
            self._fail_prepared(result)
            return None
        if preparation.step is None:
            self.preparation = None
            self._begin_run(result)
        return result

    def _fail_prepared(self, failure: FailedStart) -> None:
        """Record a start that has failed before the program's own command, and end what is left of it."""
        now = self.ended_at = time.monotonic()
        self.pid = 0
        self.preparation = None
        if self.end is None:
            self._begin_end(kill_at=now + self.config.stopwaitsecs, tree_at=now)
        self.group.wake()
        self.context.wakeup.poke()
        if failure.is_final or failure.is_passing or not self.config.autorestart:
            self._fail(failure.reason, is_passing=failure.is_passing)
            return
        self.spawnerr = failure.reason
        self.config.options.logger.info(f"could not be started: '{self.namespec}'")
        self._record_end(error=failure.reason)
        self.counts.failed_starts += 1
        self._pause()

    def _fail(self, reason: str, *, is_passing: bool = False) -> None:
        """Record a start that can't succeed: now, if it is for lack of something that others use as well."""
        self.spawnerr = reason
        # The reason is not logged: it may quote the command, which may hold secrets.
        self.config.options.logger.info(f"could not be started: '{self.namespec}'")
        self._record_end(error=reason)
        if is_passing:
            self._pause()
        else:
            self.change_state(ProcessStates.FATAL)

    def get_execv_args(self) -> tuple[str, list[str]]:
        """Return the command's file and its arguments. Called by supervisord's own interface."""
        return launch.find_command(self.config)

    # Ending

    def finish(self, pid: int, sts: int) -> None:
        """Handle the end of the process itself; others of its tree may be alive still."""
        self._end_observation()
        with self.context.contained(f"the end of {self.config.name} could not be dealt with"):
            if self.preparation is None:
                self._finish(sts)
            else:
                self._finish_step(self.preparation, sts)
        self.pid = 0
        self._leave_memory()
        if not self.ending and self.preparation is None:
            self._close_pipes()
        self.group.wake()
        self.context.wakeup.poke()  # the next turn of the loop does what follows from the end

    def _finish_step(self, preparation: Preparation, status: int) -> None:
        """Handle the end of a command of ``before_start``. The next turn of the loop runs the next one."""
        self.ended_at = time.monotonic()
        failure = self._failure_of_step(preparation, status)
        if failure and not self.killing:
            self._fail_prepared(failure)

    def _finish(self, sts: int) -> None:
        self._keep_output()
        exit_code, message = decode_wait_status(sts)
        now = time.monotonic()
        self.laststop = time.time()
        failure = self._close_failure_pipe()
        signum = os.WTERMSIG(sts) if os.WIFSIGNALED(sts) else None
        self._record_end(None if signum else exit_code, signum, failure.reason if failure else None)
        self.exitstatus = exit_code
        self.ended_at = now
        how = "it could not be run" if failure else message
        self.config.options.logger.info(f"ended: '{self.namespec}' ({how})")
        if self.killing:
            return  # STOPPED once the whole tree has ended: see _complete_end
        self.by = SUPERVISORD
        self._begin_end(kill_at=now + self.config.stopwaitsecs, tree_at=now)
        if failure:
            self.spawnerr = failure.reason
            if failure.is_passing:
                self._pause()
            else:
                self.change_state(ProcessStates.FATAL)
            return
        if self.state == ProcessStates.STARTING and now >= self._started_at:
            self._become_running()  # the loop was too late to see it
        is_success = exit_code in self.config.exitcodes
        if self.state == ProcessStates.STARTING and not is_success and self.config.autorestart:
            self.spawnerr = f"exited too quickly ({message})"
            self.counts.failed_starts += 1
            self._pause()
        else:
            self._count_run(now)
            self.change_state(ProcessStates.EXITED, expected=is_success)
            if self.config.autorestart is RestartUnconditionally or (
                self.config.autorestart and not is_success
            ):
                self._pause()

    def _record_end(
        self, exit_code: int | None = None, signum: int | None = None, error: str | None = None
    ) -> None:
        """Keep how the run ended, for ``last_run`` (docs/contract.md, section 6)."""
        self.last_run = {
            "pid": self.pid,
            "exit_code": exit_code if error is None else None,
            "signal": signals.name_of(signum) if signum else None,
            "error": error,
            "ended_at": time.time(),
            "requested": self.killing and not self.restart_reason,
        }
        if self.restart_reason:
            self.last_run["reason"] = self.restart_reason
        if self.has_own_process:
            self.last_run["seconds"] = round(time.monotonic() - self.launched_at, 3)

    # The loop's turn

    def transition(self) -> None:
        """Do what is due. Called at each turn of supervisord's loop."""
        now = time.monotonic()
        state = self.state
        if self.end is not None:
            self._step_end(now)
        self._step_tree_signals()
        self.reloads.step(now)
        if state == ProcessStates.STARTING:
            self._transition_starting(now)
        elif state == ProcessStates.RUNNING and now >= self._runs_until:
            self.restart_because(MAX_RUNTIME, is_planned=True)
        elif state == ProcessStates.BACKOFF and self.counts.has_failed_starts(self._policy):
            self.give_up()
        elif self.config.options.mood > SupervisorStates.RESTARTING and self._is_due(now):
            if not self.start_requested:
                self.start_by = SUPERVISORD
                self.restarts += 1
                self.counts.since_stable += 1
            self.spawn()

    def _transition_starting(self, now: float) -> None:
        if self.is_held:
            if not self.group.waiting_for and self.config.options.mood > SupervisorStates.RESTARTING:
                self.is_held = False
                self._delay()
        elif self.launch_at is not None:
            if now >= self.launch_at:
                self._launch()
        elif self.preparation is not None:
            self._transition_preparing(self.preparation, now)
        elif self.pid and now >= self._started_at:
            if self._has_become_program():
                self._become_running()
            else:
                self.context.wakeup.at(now + LOOK_AGAIN_SECONDS)

    def _become_running(self) -> None:
        self.counts.failed_starts = 0
        self.change_state(ProcessStates.RUNNING)
        if self._runs_until <= time.monotonic():
            self.context.wakeup.poke()  # its longest run is as long as its start

    @property
    def _started_at(self) -> float:
        """When the present run is RUNNING."""
        return self.launched_at + self.config.startsecs

    @property
    def _runs_until(self) -> float:
        """When the present run is to be followed by another; infinity if that is left to it."""
        longest: int | None = self.config.max_runtime_seconds
        return math.inf if longest is None else self.launched_at + longest

    @property
    def _shows_restarts_until(self) -> float:
        """When the present run becomes a stable one; infinity if that changes nothing."""
        if not self.counts.since_stable or self._runs_stably:
            return math.inf
        return self.launched_at + self._policy.stable_seconds

    def _transition_preparing(self, preparation: Preparation, now: float) -> None:
        if not self.pid:
            if self.group.may_fork():
                self._go_on(preparation)
        elif now >= preparation.deadline and not preparation.is_late:
            preparation.is_late = True
            grace = self.config.stopwaitsecs
            end = self._begin_end(kill_at=now + grace, tree_at=now + self._ask_all_after * grace)
            end.ask_main()
            self._step_end(now)

    def change_state(self, new_state: int, expected: bool = True) -> bool:
        self.group.wake()
        changed = bool(super().change_state(new_state, expected))
        self.group.announce()
        return changed

    @property
    def due_at(self) -> float:
        """When the process is to be looked at again, if there is neither a call nor an end before.

        0 if at each turn of the loop; infinity if it runs or is down for good.
        """
        if self.ending or self.start_requested or self.tree_signals or not self.reloads.is_settled:
            return 0.0
        if self._has_input_left:
            return 0.0
        if self.preparation is not None:
            return self.preparation.deadline if self.pid else 0.0
        if self.is_held:  # the group is woken when what it waits for changes
            return math.inf if self.group.waiting_for else 0.0
        if self.state == ProcessStates.STARTING:
            return self._started_at if self.launch_at is None else self.launch_at
        if self.state == ProcessStates.RUNNING:
            return min(self._runs_until, self._shows_restarts_until)
        if self.state == ProcessStates.BACKOFF:
            return 0.0 if self.counts.has_failed_starts(self._policy) else self.retry_at
        return math.inf if self.state in STOPPED_STATES else 0.0

    @property
    def wanted(self) -> bool:
        """Whether the process is meant to run at the moment."""
        return self.start_requested or bool(self.restart_reason) or self.state in RUNNING_STATES

    @property
    def can_start(self) -> bool:
        """Whether a start on request has something to do: nothing runs, or a pause can be cut short."""
        return self.state not in RUNNING_STATES or self.state == ProcessStates.BACKOFF

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run by itself."""
        return not (self.pid or self.ending or self.wanted or self.state == ProcessStates.STOPPING)

    @property
    def _outdated_fields(self) -> list[str]:
        """The fields that have another value by now, which counts from the next start on."""
        spec = self.group.config.spec
        if self.launched_with is None or self.launched_with is spec:
            return []
        return [name for name in AT_NEXT_START if spec[name] != self.launched_with[name]]

    def _is_due(self, now: float) -> bool:
        """Return whether a process that is down is to be started now."""
        if self.pid or self.ending or self.state == ProcessStates.STOPPING:
            return False
        if self.start_requested:
            return True
        return self.state == ProcessStates.BACKOFF and now >= self.retry_at

    def snapshot(self, *, with_orphans: bool = True) -> ProcessState:
        """Return the process' state as it is reported."""
        shown: ProcessState = {"state": getProcessStateDescription(self.state).lower()}
        if self.has_own_process:
            shown["pid"] = self.pid
            shown["started_at"] = self.laststart
            shown["uptime"] = time.monotonic() - self.launched_at
            if outdated := self._outdated_fields:
                shown["outdated"] = outdated
        if self.ending:
            shown["ending"] = True
        if self.restarts:
            shown["restarts"] = self.restarts
        if self.counts.since_stable and not self._runs_stably:
            shown["restarts_since_stable"] = self.counts.since_stable
        if self.state == ProcessStates.BACKOFF:
            shown["next_start_at"] = time.time() + max(self.retry_at - time.monotonic(), 0.0)
        if with_orphans and (orphans := self.context.orphans.of(self._owner)):
            shown["orphans"] = orphans
        if self.last_run:
            shown["last_run"] = self.last_run
        if self.reloads.count:
            shown["reload"] = self.reloads.snapshot()
        if self.is_held:
            shown["waiting_for"] = self.group.waiting_for
        self._add_findings(shown)
        return shown
