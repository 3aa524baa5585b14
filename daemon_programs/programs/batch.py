"""Call one verb with many programs, a few at a time, and tell what has become of each."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue

from django.db import connections

from daemon_programs import actors
from daemon_programs.exceptions import NotRegistered, SupervisorUnavailable
from daemon_programs.models import Program
from daemon_programs.programs import services, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.reported import REPORTED_ERRORS, error_message
from daemon_programs.supervisor.client import ALL
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.states import ProcessState, ProgramState

# More would not be faster: supervisord answers one call after the other, and one change is written at a time.
AT_A_TIME = 8


class Outcome(StrEnum):
    """What has become of a program in a batch."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Result:
    """What has become of one program.

    ``reason`` is a word or two for a program that was skipped, such as "disabled", and for a failure the
    sentence that the API answers with.
    """

    program: Program
    outcome: Outcome
    reason: str = ""


class Skipped(Exception):
    """A verb raises it, with the reason, for a program that it has nothing to do with."""


Step = Callable[[Program, ProgramState | None], object]


@dataclass(frozen=True)
class Verb:
    """What is done with each program, in one step or in two.

    All programs have taken the first step before the second begins, so that what they have to wait for
    passes at the same time.
    """

    begin: Step
    finish: Step | None = None


def run(name: str, programs: Iterable[Program]) -> list[Result]:
    """Call one of ``VERBS`` with each program; return the results in the order of the programs."""
    programs = list(programs)
    try:
        states = waiting.states()
    except SupervisorUnavailable as problem:
        return [Result(program, Outcome.FAILED, str(problem)) for program in programs]
    verb = VERBS[name]
    results = _side_by_side(verb.begin, programs, states)
    if verb.finish is not None:
        begun = [program for program in programs if results[program.pk].outcome is Outcome.DONE]
        results |= _side_by_side(verb.finish, begun, states)
    return [results[program.pk] for program in programs]


def _side_by_side(step: Step, programs: list[Program], states: dict[str, ProgramState]) -> dict[int, Result]:
    """Take a step with each program, in a few threads; return the results by id."""
    if len(programs) <= 1:
        return {program.pk: _result(step, program, states) for program in programs}
    actor = actors.current()
    remaining: SimpleQueue[Program] = SimpleQueue()
    for program in programs:
        remaining.put(program)
    results: dict[int, Result] = {}

    def work() -> None:
        try:
            with actors.acting(lambda: actor), suppress(Empty):
                while True:
                    program = remaining.get_nowait()
                    results[program.pk] = _result(step, program, states)
        finally:
            connections.close_all()  # those of this thread

    workers = min(AT_A_TIME, len(programs))
    with ThreadPoolExecutor(workers, thread_name_prefix="batch") as pool:
        for done in [pool.submit(work) for _ in range(workers)]:
            done.result()
    return results


def _result(step: Step, program: Program, states: dict[str, ProgramState]) -> Result:
    try:
        step(program, states.get(program.group))
    except Skipped as reason:
        return Result(program, Outcome.SKIPPED, str(reason))
    except REPORTED_ERRORS as problem:
        return Result(program, Outcome.FAILED, error_message(problem))
    return Result(program, Outcome.DONE)


def _start(program: Program, state: ProgramState | None) -> None:
    _skip_if_disabled(program)
    result = services.start_program(program, all_instances=True, if_not_running=True)
    if result["already_running"]:
        raise Skipped("ran already")


def _begin_stop(program: Program, state: ProgramState | None) -> None:
    if not any(map(_is_alive, state["processes"].values() if state else ())):
        raise Skipped("not running")
    with suppress(NotRegistered):
        supervisor.stop(program.group, ALL)


def _finish_stop(program: Program, state: ProgramState | None) -> None:
    services.stop_program(program, all_instances=True)


def _restart(program: Program, state: ProgramState | None) -> None:
    _skip_if_disabled(program)
    # Of a program with instances, those that run are restarted; without any, nothing would happen.
    if program.keys and not any(map(_is_alive, state["processes"].values() if state else ())):
        raise Skipped("not running")
    services.restart_program(program, all_instances=True)


def _enable(program: Program, state: ProgramState | None) -> None:
    if program.enabled:
        raise Skipped("enabled already")
    services.set_enabled(str(program.pk), True)


def _disable(program: Program, state: ProgramState | None) -> None:
    if not program.enabled:
        raise Skipped("disabled already")
    services.set_enabled(str(program.pk), False)


def _delete(program: Program, state: ProgramState | None) -> None:
    services.remove_program(str(program.pk))


def _skip_if_disabled(program: Program) -> None:
    if not program.enabled:
        raise Skipped("disabled")


def _is_alive(process: ProcessState) -> bool:
    """Return whether a stop would end something, be it a start that was only requested."""
    is_over = statuses.status_of(process) in ("stopped", "exited", "fatal", "unknown")
    return not is_over or bool(process.get("ending"))


VERBS: dict[str, Verb] = {
    "start": Verb(_start),
    "stop": Verb(_begin_stop, _finish_stop),
    "restart": Verb(_restart),
    "enable": Verb(_enable),
    "disable": Verb(_disable),
    "delete": Verb(_delete),
}
