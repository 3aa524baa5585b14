"""Restart the instances of a program a few at a time, each ready before the next."""

from collections import deque

from daemon_programs.exceptions import Refused, WaitTimedOut
from daemon_programs.models import Program
from daemon_programs.programs import services, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.targets import label
from daemon_programs.supervisor.gateway import changes, supervisor
from daemon_programs.supervisor.instances import key_of
from daemon_programs.supervisor.states import ProcessState, ProgramState


def restart_rolling(program: Program, *, size: int, timeout: int) -> None:
    """Restart the instances that run, at most ``size`` of them down at a time.

    The roll-out stops at the first that fails, and after ``timeout`` seconds: raise Refused or WaitTimedOut
    with where. It is led by the waiting request, so that none goes on unseen; each restart is one step of
    supervisord's, so no instance stays down if the request is cut off.
    """
    if program.keys is None:
        raise Refused(f"Program with ID {program.pk} has no port range")
    services.check_enabled(program)
    state = services.ensure_registered(program)
    roll_out = _RollOut(program, size, state)
    with changes.watch(program.group) as watch:
        try:
            waiting.watch_until(
                watch,
                program.group,
                roll_out.advance,
                timeout=timeout,
                timeout_message="",
            )
        except WaitTimedOut:
            raise WaitTimedOut(
                f"{roll_out.where_it_is} is not {services.awaited(program)} after {timeout} seconds; "
                f"{roll_out.progress}"
            ) from None


class _RollOut:
    """The progress of one roll-out."""

    def __init__(self, program: Program, size: int, state: ProgramState) -> None:
        self._program = program
        self._size = size
        names = [key.process for key in program.keys or ()]
        self._waiting = deque(name for name in names if _takes_part(statuses.process_state(state, name)))
        self._total = len(self._waiting)
        self._down: list[str] = []
        self._done: list[str] = []

    def advance(self, state: ProgramState | None) -> bool:
        """Restart as many as may be down besides those that are; return whether all are done."""
        if state is None:
            raise services.withdrawn(self._program, None)
        for name in self._done:
            self._check_still_runs(name, statuses.process_state(state, name))
        for name in [each for each in self._down if self._has_started(each, state)]:
            self._down.remove(name)
            self._done.append(name)
        while self._waiting and len(self._down) < self._size:
            name = self._waiting.popleft()
            if _takes_part(statuses.process_state(state, name)):  # not stopped meanwhile
                supervisor.restart(self._program.group, name)
                self._down.append(name)
        return not self._down

    def _has_started(self, name: str, state: ProgramState) -> bool:
        process = statuses.process_state(state, name)
        try:
            has_started = services.has_started(self._program, key_of(name), process)
        except Refused as problem:
            raise Refused(f"{problem}; {self.progress}") from problem
        if has_started and process["state"] == "exited":
            raise self._stopped(name, f"did not stay up: {_outcome(process)}")
        return has_started

    def _check_still_runs(self, name: str, process: ProcessState) -> None:
        """Raise Refused if a new process has failed after it was ready. A stop on request is none."""
        if process["state"] in ("backoff", "exited", "fatal"):
            raise self._stopped(name, f"failed after its restart: {_outcome(process)}")

    def _stopped(self, name: str, why: str) -> Refused:
        return Refused(f"{self._label(name)} {why}; {self.progress}")

    @property
    def where_it_is(self) -> str:
        """The instance that is waited for."""
        return self._label(self._down[0])

    @property
    def progress(self) -> str:
        """What is said of a roll-out that has stopped."""
        return f"the roll-out has stopped after {len(self._done)} of {self._total} instances"

    def _label(self, name: str) -> str:
        return label(self._program, key_of(name))


def _takes_part(process: ProcessState) -> bool:
    """Return whether an instance is meant to run, as `restart` with all instances sees it."""
    return statuses.status_of(process) in (*statuses.ACTIVE, "backoff")


def _outcome(process: ProcessState) -> str:
    return statuses.describe_outcome(process.get("last_run"))
