"""The commands of ``before_start``, which are run one after another before each start.

Each is a child of supervisord with the mark of the start, so that what it leaves behind belongs to the
program's tree. The state is STARTING meanwhile.
"""

import math
import os
import time
from typing import NamedTuple

from supervisor.options import ProcessException, decode_wait_status

from daemon_programs.supervisor.plugin.programs import launch
from daemon_programs.supervisor.plugin.programs.runs.run import ProcessRun
from daemon_programs.supervisor.plugin.programs.steps import Step
from daemon_programs.supervisor.processes import signals
from daemon_programs.supervisor.states import InputRefusal


class FailedStart(NamedTuple):
    """Why a start fails before its own command is run."""

    reason: str
    is_final: bool = False  # it can't be run at all
    is_passing: bool = False  # for lack of something that others use as well


class Preparation:
    """How far the commands of one start are."""

    def __init__(self, steps: list[Step]) -> None:
        self._left = list(steps)
        self.step: Step | None = None  # that runs, or has ended last
        self.deadline = math.inf  # of the monotonic clock
        self.is_late = False

    def take_next(self) -> Step | None:
        """Return the next step; None if it is the turn of the program itself."""
        self.step = self._left.pop(0) if self._left else None
        return self.step

    def begin(self, step: Step) -> None:
        """Note that a step was started."""
        self.deadline = time.monotonic() + step.seconds


class PreparedRun(ProcessRun):
    """Runs the commands, and then the program's own."""

    preparation: Preparation | None = None  # while the commands are under way

    @property
    def is_preparing(self) -> bool:
        """Whether the program's own process is not there yet, and its commands before the start are."""
        return self.preparation is not None

    @property
    def has_own_process(self) -> bool:
        """Whether the program's own process is there."""
        return bool(self.pid) and not self.is_preparing

    @property
    def takes_signals(self) -> bool:
        """Whether the program's own process is there and not being stopped."""
        return super().takes_signals and not self.is_preparing

    def write_input(self, data: bytes, *, close: bool) -> InputRefusal | None:
        """Write to the standard input of the program itself."""
        if self.is_preparing and self.config.takes_input:
            return "not_running"
        return super().write_input(data, close=close)

    def check(self) -> None:
        """Raise ProcessException, with the reason, if the first command of a start can't be run."""
        steps = self.config.before_start
        self._check_command(steps[0] if steps else None)

    def _check_command(self, step: Step | None) -> str:
        if step is None:
            return launch.check(self.config)
        try:
            return launch.check(self.config, step.argv)
        except ProcessException as problem:
            raise type(problem)(step.how(f"can't be run: {problem.args[0]}")) from None

    def _run_next(self, preparation: Preparation) -> int | FailedStart:
        """Run the next command, or the program's own after the last; return its pid, or why it can't be."""
        step = preparation.take_next()
        try:
            pid = self._fork(self._check_command(step), step and step.argv)
        except ProcessException as problem:
            return FailedStart(problem.args[0], is_final=True)
        except OSError as problem:
            passes = launch.is_shortage(problem)
            reason = f"no process can be made: {launch.describe(problem)}"
            return FailedStart(reason, is_final=not passes, is_passing=passes)
        if step is not None:
            self.pid = pid
            self.config.options.pidhistory[pid] = self
            self._note(pid)
            preparation.begin(step)
            self.context.wakeup.at(preparation.deadline)
        return pid

    def _failure_of_step(self, preparation: Preparation, status: int) -> FailedStart | None:
        """Return how a command that has ended failed; None if it did not."""
        step = preparation.step
        reported = self._close_failure_pipe()
        if step is None:
            return None
        if reported:
            reason = step.how(f"can't be run: {reported.reason}")
            return FailedStart(reason, is_final=not reported.is_passing, is_passing=reported.is_passing)
        if preparation.is_late:
            return FailedStart(step.how(f"did not end within {step.seconds} seconds"))
        if os.WIFSIGNALED(status):
            return FailedStart(step.how(f"was ended by {signals.name_of(os.WTERMSIG(status))}"))
        exit_code, _ = decode_wait_status(status)
        return FailedStart(step.how(f"ended with exit code {exit_code}")) if exit_code else None
