"""Signal programs that run, and have them reload. The state of a program is not changed by that."""

from daemon_programs.exceptions import NotRegistered, Refused
from daemon_programs.models import Program
from daemon_programs.programs import services, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.targets import label, select_processes
from daemon_programs.supervisor.client import ALL
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.instances import Key, key_of
from daemon_programs.supervisor.processes.signals import MAIN
from daemon_programs.supervisor.spec import RELOAD_SECONDS
from daemon_programs.supervisor.states import ProgramState

# A reload may wait for one that is under way, and both may take their whole time.
_TIMEOUT_SECONDS = 2 * RELOAD_SECONDS + 5


def signal_program(
    program: Program, signal: str, *, key: Key | None = None, all_instances: bool = False, scope: str = MAIN
) -> None:
    """Signal the process of a program, or with ``scope`` tree all its processes.

    ``all_instances`` signals those that run. Raise Refused if none does.
    """
    names = select_processes(program, key, all_instances, verb="signal")
    services.check_enabled(program)
    try:
        answer = supervisor.signal(program.group, ALL if all_instances else names[0], signal, scope)
    except NotRegistered as problem:
        raise not_running(program, key) from problem
    if "refused" in answer:
        raise not_running(program, key)


def reload_program(program: Program, *, key: Key | None = None, all_instances: bool = False) -> None:
    """Do what the program's ``reload`` says, and wait for the end of its command.

    ``all_instances`` reloads those that run. Raise Refused if the program has no ``reload``, if nothing runs,
    or if the command fails.
    """
    names = select_processes(program, key, all_instances, verb="reload")
    services.check_enabled(program)
    if program.reload is None:
        raise no_reload(program)
    with waiting.reserve_watch(program.group, waits_for_reload(program)) as watch:
        end = begin_reload(program, ALL if all_instances else names[0], key=key)
        if watch:
            waiting.watch_until(
                watch, program.group, end.done, timeout=end.seconds, timeout_message=end.sentence
            )


def begin_reload(program: Program, name: str, *, key: Key | None = None) -> waiting.Awaited:
    """Begin to reload a process, or all that run; return the end of that. Raise Refused if nothing runs."""
    try:
        answer = supervisor.reload(program.group, name)
    except NotRegistered as problem:
        raise not_running(program, key) from problem
    if "refused" in answer:
        raise not_running(program, key)
    numbers = answer["reloads"]

    def reloaded(state: ProgramState | None) -> bool:
        return all(_is_reloaded(program, name, number, state) for name, number in numbers.items())

    sentence = f"Program with ID {program.pk} is still being reloaded"
    return waiting.Awaited(program.group, reloaded, _TIMEOUT_SECONDS, sentence)


def waits_for_reload(program: Program) -> bool:
    """Return whether a reload takes a while: a command does, a signal does not."""
    return "command" in (program.reload or {})


def _is_reloaded(program: Program, name: str, number: int, state: ProgramState | None) -> bool:
    """Return whether the reload of that number is over; raise Refused if it failed."""
    shown = statuses.process_state(state, name).get("reload")
    if shown is not None and shown["requested"] >= number and shown["done"] < number:
        return False
    # Without a report the process was replaced, by an edit for example.
    is_replaced = shown is None or shown["requested"] < number
    problem = "it has ended meanwhile" if is_replaced else shown and shown["error"]
    if problem:
        raise Refused(f"{label(program, key_of(name))} was not reloaded: {problem}")
    return True


def no_reload(program: Program) -> Refused:
    """Return the error for a program that can't be reloaded."""
    return Refused(f"Program with ID {program.pk} has no reload")


def not_running(program: Program, key: Key | None = None) -> Refused:
    """Return the error for a program or an instance that would have to run."""
    if program.keys is not None and key is None:
        return Refused(f"No instance of program with ID {program.pk} is running")
    return Refused(f"{label(program, key)} is not running")
