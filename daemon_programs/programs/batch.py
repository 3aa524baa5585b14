"""Call one verb with many programs, side by side, and tell what has become of each."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue

from django.db import connections

from daemon_programs import actors
from daemon_programs.exceptions import Refused, ShuttingDown, SupervisorUnavailable
from daemon_programs.models import Program
from daemon_programs.programs import preflight, waiting
from daemon_programs.programs.reported import REPORTED_ERRORS, error_code, error_message
from daemon_programs.programs.verbs import VERBS, Options, Skipped, Verb
from daemon_programs.programs.waiting import Awaited
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.gateway import changes
from daemon_programs.supervisor.states import ProgramState

# More would not be faster: supervisord answers one call after the other, and one change is written at a time.
AT_A_TIME = 8
# Of all batches together. One that finds no helper is carried out by the thread of its request alone.
_helpers = threading.BoundedSemaphore(2 * (AT_A_TIME - 1))

NO_OPTIONS = Options()

States = dict[str, ProgramState]


class Outcome(StrEnum):
    """What has become of a program in a batch, or with ``planned`` what would."""

    DONE = "done"
    PLANNED = "planned"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """What has become of one program.

    ``code`` is a stable word that says why it was skipped, such as "disabled", or the code of the error.
    ``reason`` is the same as a sentence.
    """

    program: Program
    outcome: Outcome
    code: str = ""
    reason: str = ""


def run(
    name: str, programs: Sequence[Program], options: Options = NO_OPTIONS, states: States | None = None
) -> list[Result]:
    """Call one of ``VERBS`` with each program; return the results in the order of the programs.

    ``states`` are supervisord's if they are known already. Raise TooManyWaits, before anything is begun, if
    it would wait and too many requests do.
    """
    if states is None:
        try:
            states = waiting.states()
        except SupervisorUnavailable as problem:
            return [failure(program, problem) for program in programs]
    verb = VERBS[name]
    is_brief = not any(verb.waits(program, options) for program in programs)
    with changes.watch(*(program.group for program in programs), brief=is_brief) as watch:
        steps = _Steps(verb, options, states, watch)
        steps.take(programs)
        awaited = [program for program in programs if program.pk in steps.awaited]
        errors = waiting.watch_until_all(
            watch, [steps.awaited[program.pk] for program in awaited], are_stops=is_brief
        )
    for program, error in zip(awaited, errors, strict=True):
        if error is not None:
            steps.results[program.pk] = failure(program, error)
    return [steps.results[program.pk] for program in programs]


def rehearse(name: str, programs: Sequence[Program], options: Options, states: States) -> list[Result]:
    """Return what `run` would do, as far as that can be known, and change nothing."""
    return [_rehearsed(VERBS[name], program, options, states) for program in programs]


def _rehearsed(verb: Verb, program: Program, options: Options, states: States) -> Result:
    def check() -> None:
        verb.check(program, states.get(program.group), options)
        if verb.starts and (problem := preflight.problem(program)):
            raise Refused(f"Program with ID {program.pk} can't be started: {problem}")

    return _result(program, check, Outcome.PLANNED)


class _Steps:
    """The first steps with all programs of a batch, which are taken side by side."""

    def __init__(self, verb: Verb, options: Options, states: States, watch: Watch) -> None:
        self.results: dict[int, Result] = {}
        self.awaited: dict[int, Awaited] = {}  # by program, what remains to be waited for
        self._verb = verb
        self._options = options
        self._states = states
        self._watch = watch
        self._lost: SupervisorUnavailable | None = None
        self._remaining: SimpleQueue[Program] = SimpleQueue()

    def take(self, programs: Sequence[Program]) -> None:
        """Take the first step with each program, in this thread and a few others, if there are any free."""
        for program in programs:
            self._remaining.put(program)
        actor = actors.current()
        count = min(AT_A_TIME, len(programs)) - 1
        helpers = sum(_helpers.acquire(blocking=False) for _ in range(count))
        try:
            with ThreadPoolExecutor(max(helpers, 1), thread_name_prefix="batch") as pool:
                helping = []
                with suppress(RuntimeError):  # the system has no room for a thread: it takes longer
                    for _ in range(helpers):
                        helping.append(pool.submit(self._help, actor))
                self._work()
                for each in helping:
                    each.result()
        finally:
            for _ in range(helpers):
                _helpers.release()

    def _help(self, actor: str) -> None:
        try:
            with actors.acting(lambda: actor):
                self._work()
        finally:
            connections.close_all()  # those of this thread

    def _work(self) -> None:
        with suppress(Empty):
            while True:
                program = self._remaining.get_nowait()
                self.results[program.pk] = _result(program, lambda: self._step(program), Outcome.DONE)  # noqa: B023

    def _step(self, program: Program) -> None:
        if self._watch.closing:
            raise ShuttingDown("The daemon is shutting down; nothing was changed")
        if self._lost:
            raise self._lost  # each further call could take as long as the one that has failed
        self._verb.check(program, self._states.get(program.group), self._options)
        try:
            awaited = self._verb.begin(program, self._options)
        except SupervisorUnavailable as problem:
            self._lost = problem
            raise
        if awaited is not None:
            self.awaited[program.pk] = awaited


def _result(program: Program, step: Callable[[], None], success: Outcome) -> Result:
    try:
        step()
    except Skipped as reason:
        return Result(program, Outcome.SKIPPED, reason.code, str(reason))
    except REPORTED_ERRORS as problem:
        return failure(program, problem)
    return Result(program, success)


def failure(program: Program, problem: Exception) -> Result:
    """Return the result of a program with which something has failed."""
    return Result(program, Outcome.FAILED, error_code(problem), error_message(problem))
