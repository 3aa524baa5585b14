"""The services: one function for each verb of a program (docs/contract.md, sections 2 and 3).

The API and the admin call them. They report errors as ``exceptions.DaemonError`` or as Django's
``ValidationError``, whose text is a sentence for the client. After an error the database, the mirror and
supervisord's configuration agree with each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from daemon_programs.exceptions import DidNotStart, NotRegistered, ProgramNotFound, Refused
from daemon_programs.models import Program
from daemon_programs.models.rows import rows
from daemon_programs.programs import registration, standard_input, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.observed.statuses import process_state
from daemon_programs.programs.targets import label, select_processes
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.client import ALL
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.instances import Key
from daemon_programs.supervisor.states import ProcessState, ProgramState
from daemon_programs.text import to_number
from daemon_programs.transactions import write_transaction
from daemon_programs.validators import webhook_config


def get_program(id: str | int) -> Program:
    """Return the program with an id, given as a number or as in a route; raise ProgramNotFound.

    It is only to be read: others read it at the same time.
    """
    number = to_number(str(id))
    program = None if number is None else rows.one(number)
    if program is None:
        raise ProgramNotFound(id)
    return program


def _program_to_change(id: str) -> Program:
    """Return the program with an id for the caller alone; raise ProgramNotFound."""
    return Program.objects.get(pk=get_program(id).pk)


def add_program(values: dict[str, Any]) -> Program:
    """Create a program, and register it if it is enabled. It is started at once if ``boot`` is set.

    ``values`` are the model's fields. Raise Refused for an ``id`` that is in use.
    """
    with write_transaction():
        if "id" in values and Program.objects.filter(pk=values["id"]).exists():
            raise Refused(f"Program ID {values['id']} is already in use")
        program = Program(**values)
        program.full_clean(validate_constraints=False)  # `clean` checks them, with better messages
        program.save(force_insert=True)
    return program


def edit_program(id: str, values: dict[str, Any]) -> Program:
    """Change the given fields of a program, and wait until supervisord has applied the change.

    A running program is restarted, once, only if a field has changed that its process depends on. Raise
    WaitTimedOut if that takes too long; the change is saved all the same.
    """
    with write_transaction():
        program = _program_to_change(id)
        previous = copy(program)
        if values.get("webhooks") is not None:
            values = {**values, "webhooks": webhook_config.merge(program.webhooks, values["webhooks"])}
        for name, value in values.items():
            setattr(program, name, value)
        program.full_clean(validate_constraints=False)  # `clean` checks them, with better messages
        program.save()
    if program.enabled:
        # The old process is stopped with the old grace period.
        waiting.wait_until_settled(
            previous, timeout_message=f"Program with ID {program.pk} is changed, but still being restarted"
        )
    else:
        _wait_until_gone(previous)
    return program


def set_enabled(id: str, enabled: bool) -> Program:
    """Enable or disable a program, and wait until it has ended if it is disabled."""
    program = begin_set_enabled(id, enabled)
    if not enabled:
        _wait_until_gone(program)
    return program


def begin_set_enabled(id: str, enabled: bool) -> Program:
    """Enable or disable a program, without waiting for its end.

    Enabling registers it, and starts it if ``boot`` is set. Disabling stops and withdraws it.
    """
    with write_transaction():
        program = _program_to_change(id)
        program.enabled = enabled
        program.save()
    return program


def remove_program(id: str) -> int:
    """Delete a program and stop it, wait until it has ended, and return its id. The log files stay."""
    removed = begin_remove(id)
    _wait_until_gone(removed)
    return int(removed.pk)


def begin_remove(id: str) -> Program:
    """Delete a program, and return what it was, without waiting for its end.

    It is deleted first, so that no start that comes meanwhile finds it.
    """
    with write_transaction():
        program = _program_to_change(id)
        removed = copy(program)
        program.delete()
    return removed


def start_program(
    program: Program,
    *,
    key: Key | None = None,
    all_instances: bool = False,
    wait: bool = False,
    timeout: int = 30,
    if_not_running: bool = False,
) -> dict[str, Any]:
    """Start a program, or one or all of its instances; return the fields of the response.

    With ``wait`` the call returns once the processes are running, or raises WaitTimedOut after ``timeout``
    seconds. Raise Refused if the program is disabled or can't be started. What runs already is left alone;
    with ``if_not_running`` the response tells so.
    """
    names = select_processes(program, key, all_instances, verb="start")
    check_enabled(program)
    state: ProgramState | None = ensure_registered(program)
    is_running = all(_is_active(process_state(state, name)) for name in names)
    with waiting.reserve_watch(program.group, wait) as watch:
        if not is_running:
            with refuse_if_withdrawn(program, key):
                result = supervisor.start(program.group, ALL if all_instances else names[0])
            if "refused" in result:
                raise Refused(f"{label(program, key)} can't be started: {result['refused']}")
            state = result
        if watch:
            state = _wait_until_started(watch, program, names, key, timeout)
    return _start_response(program, state, key, already_running=is_running if if_not_running else None)


def restart_program(
    program: Program,
    *,
    key: Key | None = None,
    all_instances: bool = False,
    wait: bool = False,
    timeout: int = 30,
) -> dict[str, Any]:
    """Restart a program, or one or all of its instances; return the fields of the response.

    supervisord stops and starts in one step, so no start is lost and two processes never run at once. A
    program or an instance that does not run is started, but ``all_instances`` restarts only those that run.
    ``wait`` and ``timeout`` are as for `start_program`.
    """
    names = select_processes(program, key, all_instances, verb="restart")
    with waiting.reserve_watch(program.group, wait) as watch:
        only_running = all_instances and program.keys is not None
        state, names = begin_restart(program, names, key=key, only_running=only_running)
        if watch:
            state = _wait_until_started(watch, program, names, key, timeout)
    return _start_response(program, state, key)


def begin_restart(
    program: Program, names: list[str], *, key: Key | None = None, only_running: bool = False
) -> tuple[ProgramState | None, list[str]]:
    """Restart a process, or those that run; return the program's state, and which processes are starting."""
    check_enabled(program)
    ensure_registered(program)
    with refuse_if_withdrawn(program, key):
        state = supervisor.restart(program.group, ALL if only_running else names[0])
    if only_running:
        names = [name for name in names if _is_starting(process_state(state, name))]
    return state, names


def stop_program(program: Program, *, key: Key | None = None, all_instances: bool = False) -> None:
    """Stop a program, or one or all of its instances, and wait for the end.

    Stopping what is stopped is a success.
    """
    names = select_processes(program, key, all_instances, verb="stop")
    stop_processes(program, [ALL] if all_instances else names)


def write_input(program: Program, *, text: str, close: bool, key: Key | None = None) -> None:
    """Write a text to the standard input of a program or an instance, and with ``close`` end it.

    See `standard_input.write` for what is refused.
    """
    (name,) = select_processes(program, key, False, verb="input")
    standard_input.write(program.group, name, label(program, key), text=text, close=close)


def stop_processes(program: Program, names: list[str]) -> None:
    """Stop processes with their whole trees, and wait until they have ended."""
    for name in names:
        try:
            supervisor.stop(program.group, name)
        except NotRegistered:
            return  # an unregistered program has no processes
    waiting.wait_until_ended(
        program, None if names == [ALL] else names, timeout_message=still_stopping(program)
    )


def check_enabled(program: Program) -> None:
    """Raise Refused if the program is disabled."""
    if not program.enabled:
        raise Refused(f"Program with ID {program.pk} is disabled")


def ensure_registered(program: Program) -> ProgramState:
    """Return the program's state, and register it again if supervisord does not have it."""
    state = supervisor.state(program.group)
    if state is None:
        with write_transaction():
            # Another request may have disabled or removed it meanwhile.
            program = get_program(program.pk)
            check_enabled(program)
            registration.register(program)
        state = supervisor.state(program.group)
    return state or {"changing": False, "digest": "", "processes": {}}


@contextmanager
def refuse_if_withdrawn(program: Program, key: Key | None) -> Iterator[None]:
    """Raise Refused if supervisord does not have the program: another request has disabled or removed it."""
    try:
        yield
    except NotRegistered as problem:
        raise withdrawn(program, key) from problem


def withdrawn(program: Program, key: Key | None) -> Refused:
    """Return the error for a program that was disabled or removed by another request."""
    return Refused(f"{label(program, key)} was withdrawn while it was starting")


def _is_active(process: ProcessState) -> bool:
    return statuses.status_of(process) in statuses.ACTIVE


def _is_starting(process: ProcessState) -> bool:
    return bool(process.get("queued")) or process["state"] == "starting"


def _wait_until_started(
    watch: Watch, program: Program, names: list[str], key: Key | None, timeout: int
) -> ProgramState | None:
    start = start_of(program, names, key=key, timeout=timeout)
    return waiting.watch_until(
        watch, program.group, start.done, timeout=start.seconds, timeout_message=start.sentence
    )


def start_of(program: Program, names: list[str], *, timeout: int, key: Key | None = None) -> waiting.Awaited:
    """Return that processes are running, or have ended successfully; it raises Refused if one failed."""

    def started(state: ProgramState | None) -> bool:
        if state is None:
            raise withdrawn(program, key)
        return all(has_started(program, key, process_state(state, name)) for name in names)

    sentence = f"{label(program, key)} is not {awaited(program)} after {timeout} seconds"
    return waiting.Awaited(program.group, started, timeout, sentence)


def awaited(program: Program) -> str:
    """Return what a request that waits for a start wants the program to be."""
    return "ready" if program.has_ready_probe else "running"


def has_started(program: Program, key: Key | None, process: ProcessState) -> bool:
    """Return whether a process runs (and is ready), or has ended successfully; raise DidNotStart if not."""
    state = process["state"]
    if process.get("queued") or state in ("starting", "backoff", "stopping"):
        return False
    if state == "exited" and process["last_run"]["exit_code"] in program.exit_codes:
        return True
    if state in ("exited", "fatal"):
        reason = statuses.describe_outcome(process.get("last_run"))
        raise DidNotStart(f"{label(program, key)} did not start: {reason}")
    if state == "stopped":
        raise DidNotStart(f"{label(program, key)} was stopped while it was starting")
    return process.get("ready", True)


def _start_response(
    program: Program, state: ProgramState | None, key: Key | None, already_running: bool | None = None
) -> dict[str, Any]:
    """Return ``already_running`` unless it is None, and the ``instance`` of the key, if any."""
    response: dict[str, Any] = {}
    if already_running is not None:
        response["already_running"] = already_running
    if key is not None:
        response["instance"] = statuses.instance(program, key, process_state(state, key.process))
    return response


def _wait_until_gone(program: Program) -> None:
    waiting.wait_until_gone(program, timeout_message=still_stopping(program))


def still_stopping(program: Program) -> str:
    """Return the sentence for a stop that takes longer than it should."""
    return f"Program with ID {program.pk} is still being stopped"
