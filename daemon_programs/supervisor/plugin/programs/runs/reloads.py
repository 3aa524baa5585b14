"""The reloads of a process: each does what the program's ``reload`` says, one after the other."""

import time

from daemon_programs.supervisor.plugin.programs.runs.command import SideCommand
from daemon_programs.supervisor.plugin.programs.runs.run import ProcessRun
from daemon_programs.supervisor.processes import signals
from daemon_programs.supervisor.spec import RELOAD_SECONDS
from daemon_programs.supervisor.states import ReloadState


class Reloads:
    """Counts what was requested and done, so that each request learns how its own reload ended.

    While a command runs, further requests are answered by one more run of it.
    """

    def __init__(self, process: ProcessRun) -> None:
        self._process = process
        self._requested = 0
        self._done = 0
        self._error: str | None = None  # of the last one
        self._command: SideCommand | None = None
        self.ended_at = 0.0  # of the last one, on the monotonic clock

    @property
    def count(self) -> int:
        """How many were requested so far."""
        return self._requested

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be done."""
        return self._command is None and self._done == self._requested

    @property
    def pid(self) -> int:
        """The pid of the command that runs; 0 if none does."""
        return self._command.pid if self._command else 0

    def request(self) -> int:
        """Note a reload, and return its number. A signal is sent at once, a command run in the next turns."""
        self._requested += 1
        self._process.group.wake()
        self._process.context.wakeup.poke()
        if self._command is None and self._process.config.reload_signal is not None:
            self._send_signal()
        return self._requested

    def step(self, now: float) -> None:
        """Begin what was requested, or look after the command that runs."""
        if self._command is not None:
            self._command.kill_if_late(now)
        elif self._done == self._requested:
            return
        elif not self._process.takes_signals:
            self._finish(self._requested, "it has ended meanwhile")
        elif self._process.config.reload_signal is not None:
            self._send_signal()
        elif not self._process.config.reload_argv:
            self._finish(self._requested, "its reload was removed meanwhile")
        elif self._process.group.may_fork():
            self._run_command()

    def _send_signal(self) -> None:
        self._process.send(signals.number_of(self._process.config.reload_signal))
        self._finish(self._requested, None)

    def _run_command(self) -> None:
        number = self._requested
        variables = {"MAINPID": str(self._process.pid)}
        argv = self._process.config.reload_argv
        self._command = SideCommand(self._process, argv, variables, RELOAD_SECONDS)
        self._command.start(lambda problem: self._finish(number, problem and f"its reload command {problem}"))

    def _finish(self, number: int, error: str | None) -> None:
        self.ended_at = time.monotonic()
        self._command = None
        self._done = number
        self._error = error
        context = self._process.context
        if error:  # which is not logged: it may quote the command, which may hold secrets
            context.options.logger.info(f"could not be reloaded: '{self._process.namespec}'")
        self._process.group.wake()
        context.announce_settled(self._process.group.config.name)
        context.wakeup.poke()

    def snapshot(self) -> ReloadState:
        """Return what was requested and done, as it is reported."""
        return {"requested": self._requested, "done": self._done, "error": self._error}
