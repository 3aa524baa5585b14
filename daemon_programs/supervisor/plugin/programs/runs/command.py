"""A command that runs beside a process of a program, as the program itself would be run."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from supervisor.options import ProcessException, decode_wait_status

from daemon_programs.supervisor.plugin.io.output import SideOutput
from daemon_programs.supervisor.plugin.io.pipes import make_pipes
from daemon_programs.supervisor.plugin.programs import launch
from daemon_programs.supervisor.plugin.programs.runs.run import ProcessRun
from daemon_programs.supervisor.processes import signals

# Told how a command has failed, as the rest of a sentence, or None.
Outcome = Callable[[str | None], None]


class SideCommand:
    """One run of a command: as the program's user, in its directory, with its environment and its mark.

    What it prints goes to the log of the process until it ends. It is killed when its time is over.
    """

    def __init__(
        self, process: ProcessRun, argv: list[str], variables: dict[str, str], seconds: float
    ) -> None:
        self.pid = 0
        self._process = process
        self._argv = argv
        self._variables = variables
        self._seconds = seconds
        self.deadline = 0.0  # of the monotonic clock
        self._is_late = False
        self._told: Outcome = lambda problem: None
        self._pipes: dict[str, Any] = {}
        self._failure_fd = -1

    def start(self, told: Outcome) -> None:
        """Run it, and tell how it ended, at once if it can't be run."""
        self._told = told
        try:
            self._fork(launch.check(self._process.config, self._argv))
        except ProcessException as problem:
            told(f"can't be run: {problem.args[0]}")
        except OSError as problem:
            told(f"can't be run: {launch.describe(problem)}")

    def _fork(self, filename: str) -> None:
        process = self._process
        config = process.config
        pipes: dict[str, Any] = make_pipes(with_stderr=False)
        try:
            self._failure_fd, child_failure_fd = os.pipe()
            try:
                os.set_blocking(self._failure_fd, False)
                child = launch.Child(
                    process.group.config.name,
                    {**pipes, "child_stderr": pipes["child_stdout"]},
                    filename,
                    child_failure_fd,
                    process.claim,
                    self._argv,
                    self._variables,
                )
                self.pid = launch.fork(config, child)
            finally:
                os.close(child_failure_fd)
                if not self.pid:
                    os.close(self._failure_fd)
        except OSError:
            config.options.close_parent_pipes(pipes)
            raise
        finally:
            config.options.close_child_pipes(pipes)
        self._pipes = pipes
        process.dispatchers[pipes["stdout"]] = SideOutput(process, pipes["stdout"])
        config.options.pidhistory[self.pid] = self  # `finish` is called when it is reaped
        self.deadline = time.monotonic() + self._seconds
        process.context.wakeup.at(self.deadline)

    def kill_if_late(self, now: float) -> None:
        """Kill it, and what it has started in its session, once its time is over."""
        if not self.pid or self._is_late or now < self.deadline:
            return
        self._is_late = True
        for kill in (os.kill, os.killpg):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)

    def finish(self, pid: int, status: int) -> None:
        """Handle its end. Called when it is reaped."""
        problem: str | None = "has ended, and the log of supervisord says what failed then"
        with self._process.context.contained("the end of a command could not be dealt with"):
            problem = self._problem(status)
            self._close_output()
        self.pid = 0
        self._told(problem)

    def _problem(self, status: int) -> str | None:
        try:
            failure = launch.Failure.read(self._failure_fd)
        finally:
            os.close(self._failure_fd)
        if failure:
            return f"can't be run: {failure.reason}"
        if self._is_late:
            return f"took longer than {self._seconds:g} seconds"
        if os.WIFSIGNALED(status):
            return f"was ended by {signals.name_of(os.WTERMSIG(status))}"
        code, _ = decode_wait_status(status)
        return f"ended with exit code {code}" if code else None

    def _close_output(self) -> None:
        output = self._process.dispatchers.pop(self._pipes["stdout"], None)
        if output is not None and not output.closed:
            output.handle_read_event()
            output.close()
        self._process.config.options.close_parent_pipes(self._pipes)
