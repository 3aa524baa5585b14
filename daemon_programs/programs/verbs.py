"""What a batch does with each of its programs, by verb.

``check`` says whether there is anything to do; it changes nothing, so it also tells beforehand what a batch
would do. ``begin`` does it. What that returns is then waited for, of all programs together. Of a program
with instances a verb means all of them.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from daemon_programs.exceptions import DidNotStart, NotRegistered
from daemon_programs.models import Program
from daemon_programs.programs import registration, services, signalling, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.selected import is_alive
from daemon_programs.programs.targets import select_processes
from daemon_programs.programs.waiting import Awaited
from daemon_programs.supervisor.client import ALL
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.processes.signals import MAIN
from daemon_programs.supervisor.states import ProcessState, ProgramState


@dataclass(frozen=True)
class Options:
    """The options of a batch, of which each verb has its own."""

    wait: bool = False
    timeout: int = 30
    signal: str = ""
    scope: str = MAIN


class Skipped(Exception):
    """A check raises it for a program that a verb has nothing to do with.

    ``code`` is a stable word, and the message is a sentence.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


Check = Callable[[Program, ProgramState | None, Options], None]
Begin = Callable[[Program, Options], Awaited | None]


@dataclass(frozen=True)
class Verb:
    """What is done with each program."""

    check: Check
    begin: Begin
    # Whether it may wait for a start or a reload, which only so many requests may.
    waits: Callable[[Program, Options], bool] = lambda program, options: False
    starts: bool = False  # whether the program must be fit to run


def _check_start(program: Program, state: ProgramState | None, options: Options) -> None:
    _skip_if_disabled(program)
    names = select_processes(program, None, True, verb="start")
    processes = [statuses.process_state(state, name) for name in names]
    is_active = all(statuses.status_of(process) in statuses.ACTIVE for process in processes)
    # What is starting or not ready yet is waited for.
    if is_active and not (options.wait and any(not _has_started(program, each) for each in processes)):
        raise Skipped("ran_already", f"Program with ID {program.pk} ran already")


def _start(program: Program, options: Options) -> Awaited | None:
    services.start_program(program, all_instances=True)
    names = select_processes(program, None, True, verb="start")
    return services.start_of(program, names, timeout=options.timeout) if options.wait else None


def _check_restart(program: Program, state: ProgramState | None, options: Options) -> None:
    _skip_if_disabled(program)
    if program.keys is not None:  # those that run are restarted; without any, nothing would happen
        _skip_if_idle(program, state)


def _restart(program: Program, options: Options) -> Awaited | None:
    names = select_processes(program, None, True, verb="restart")
    _, names = services.begin_restart(program, names, only_running=program.keys is not None)
    return services.start_of(program, names, timeout=options.timeout) if options.wait else None


def _check_stop(program: Program, state: ProgramState | None, options: Options) -> None:
    _skip_if_idle(program, state)


def _stop(program: Program, options: Options) -> Awaited | None:
    with suppress(NotRegistered):  # an unregistered program has no processes
        supervisor.stop(program.group, ALL)
        return waiting.end_of(program, None, timeout_message=services.still_stopping(program))
    return None


def _check_reload(program: Program, state: ProgramState | None, options: Options) -> None:
    _check_signal(program, state, options)
    if program.reload is None:
        raise Skipped("no_reload", str(signalling.no_reload(program)))


def _reload(program: Program, options: Options) -> Awaited | None:
    end = signalling.begin_reload(program, ALL)
    return end if signalling.waits_for_reload(program) else None


def _check_signal(program: Program, state: ProgramState | None, options: Options) -> None:
    _skip_if_disabled(program)
    _skip_if_idle(program, state)


def _signal(program: Program, options: Options) -> None:
    signalling.signal_program(program, options.signal, all_instances=True, scope=options.scope)


def _check_enable(program: Program, state: ProgramState | None, options: Options) -> None:
    if program.enabled:
        raise Skipped("enabled_already", f"Program with ID {program.pk} was enabled already")


def _enable(program: Program, options: Options) -> None:
    services.begin_set_enabled(str(program.pk), True)


def _check_disable(program: Program, state: ProgramState | None, options: Options) -> None:
    if not program.enabled:
        raise Skipped("disabled_already", f"Program with ID {program.pk} was disabled already")


def _disable(program: Program, options: Options) -> Awaited | None:
    return _departure_of(services.begin_set_enabled(str(program.pk), False))


def _check_remove(program: Program, state: ProgramState | None, options: Options) -> None:
    """Accept any program."""


def _remove(program: Program, options: Options) -> Awaited | None:
    return _departure_of(services.begin_remove(str(program.pk)))


def _departure_of(program: Program) -> Awaited | None:
    if registration.is_offline():
        return None
    return waiting.departure_of(program, timeout_message=services.still_stopping(program))


def _skip_if_disabled(program: Program) -> None:
    if not program.enabled:
        raise Skipped("disabled", f"Program with ID {program.pk} is disabled")


def _skip_if_idle(program: Program, state: ProgramState | None) -> None:
    """Skip a program of which nothing runs, is to run, or is still ending."""
    if not any(map(is_alive, state["processes"].values() if state else ())):
        raise Skipped("not_running", str(signalling.not_running(program)))


def _has_started(program: Program, process: ProcessState) -> bool:
    with suppress(DidNotStart):
        return services.has_started(program, None, process)
    return False


VERBS: dict[str, Verb] = {
    "start": Verb(_check_start, _start, lambda program, options: options.wait, starts=True),
    "stop": Verb(_check_stop, _stop),
    "restart": Verb(_check_restart, _restart, lambda program, options: options.wait, starts=True),
    "reload": Verb(_check_reload, _reload, lambda program, options: signalling.waits_for_reload(program)),
    "signal": Verb(_check_signal, _signal),
    "enable": Verb(_check_enable, _enable),
    "disable": Verb(_check_disable, _disable),
    "remove": Verb(_check_remove, _remove),
}
NAMES = tuple(VERBS)
