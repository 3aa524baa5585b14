"""What can be done with a program: one function a verb (contract, sections 2 and 3).

They raise ``exceptions.DaemonError`` and Django's ``ValidationError``. After an error, the
database, the mirror and supervisord's configuration agree with each other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from daemon_programs.exceptions import NotRegistered, ProgramNotFound, Refused
from daemon_programs.models import Program
from daemon_programs.programs import readiness, registration, statuses, waiting
from daemon_programs.programs.statuses import process_name, process_state
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.client import ALL
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.states import ProcessState, ProgramState
from daemon_programs.text import to_number
from daemon_programs.transactions import write_transaction
from daemon_programs.validators import webhook_config

_PROBE_EVERY_SECONDS = 0.05  # nothing tells when a port is opened


def get_program(id: str | int) -> Program:
    """Return the program of an id as it stands in a route; raise ProgramNotFound if there is none."""
    number = to_number(str(id))
    program = None if number is None else Program.objects.filter(pk=number).first()
    if program is None:
        raise ProgramNotFound(id)
    return program


def add_program(values: dict[str, Any]) -> Program:
    """Register a program; it is started at once if it is one to start at boot."""
    with write_transaction():
        if "id" in values and Program.objects.filter(pk=values["id"]).exists():
            raise Refused(f"Program ID {values['id']} is already in use")
        program = Program(**values)
        program.full_clean(validate_constraints=False)  # `clean` has their sentences
        program.save(force_insert=True)
    return program


def edit_program(id: str, values: dict[str, Any]) -> Program:
    """Change fields; what runs is restarted once, and only if what runs has changed."""
    with write_transaction():
        program = get_program(id)
        before = copy(program)
        if values.get("webhooks") is not None:
            values = {**values, "webhooks": webhook_config.merge(program.webhooks, values["webhooks"])}
        for name, value in values.items():
            setattr(program, name, value)
        program.full_clean(validate_constraints=False)  # `clean` has their sentences
        program.save()
    if program.enabled:
        # What ran is stopped by the terms that it was started with.
        waiting.wait_until_settled(
            before, otherwise=f"Program with ID {program.pk} is changed, but still being restarted"
        )
    else:
        _wait_until_gone(before)
    return program


def set_enabled(id: str, enabled: bool) -> Program:
    """Enable: register, and start if it is one to start at boot. Disable: stop and withdraw."""
    with write_transaction():
        program = get_program(id)
        program.enabled = enabled
        program.save()
    if not enabled:
        _wait_until_gone(program)
    return program


def remove_program(id: str) -> int:
    """Stop, then forget; its log files stay. Returns the id that it had."""
    program = get_program(id)
    stop(program, [ALL])
    with write_transaction():
        get_program(id).delete()
    _wait_until_gone(program)
    return int(program.pk)


def start_program(
    program: Program,
    *,
    port: int | None = None,
    every: bool = False,
    wait: bool = False,
    timeout: int = 30,
    if_not_running: bool = False,
) -> dict[str, Any]:
    """Start a program, or instances of a port range; the answer's fields beside ``success``."""
    names = _chosen(program, port, every, verb="start")
    _check_enabled(program)
    state: ProgramState | None = _registered_state(program)
    active = [name for name in names if _is_active(process_state(state, name))]
    already = len(active) == len(names)
    if already and not if_not_running and not every:
        raise Refused(f"{_whom(program, port)} is already running")
    with waiting.room_to_wait(program.group, wait) as watch:
        if not already:
            with _still_registered(program, port):
                answer = supervisor.start(program.group, ALL if every else names[0])
            if "refused" in answer:
                raise Refused(f"{_whom(program, port)} can't be started: {answer['refused']}")
            state = answer
        if watch:
            state = _wait_until_started(watch, program, names, port, timeout)
    return _start_answer(program, state, port, already if if_not_running else None)


def restart_program(
    program: Program, *, port: int | None = None, every: bool = False, wait: bool = False, timeout: int = 30
) -> dict[str, Any]:
    """Stop and start again as one: no start is lost, no two processes run at once.

    Of a port range's instances, ``every`` one that runs; what does not run is started only if named.
    """
    names = _chosen(program, port, every, verb="restart")
    _check_enabled(program)
    _registered_state(program)
    with waiting.room_to_wait(program.group, wait) as watch:
        restarts_what_runs = every and program.has_ports
        with _still_registered(program, port):
            state: ProgramState | None = supervisor.restart(
                program.group, ALL if restarts_what_runs else names[0]
            )
        if restarts_what_runs:
            names = [name for name in names if _is_on_its_way(process_state(state, name))]
        if watch:
            state = _wait_until_started(watch, program, names, port, timeout)
    return _start_answer(program, state, port, None)


def stop_program(program: Program, *, port: int | None = None, every: bool = False) -> None:
    """Stop a program, or instances of a port range; stopping what is stopped is a success."""
    names = _chosen(program, port, every, verb="stop")
    stop(program, [ALL] if every else names)


def stop(program: Program, names: list[str]) -> None:
    """Stop processes of a program, whole trees, and wait for the last of them."""
    for name in names:
        try:
            supervisor.stop(program.group, name)
        except NotRegistered:
            return  # nothing of it runs
    waiting.wait_until_ended(
        program,
        None if names == [ALL] else names,
        otherwise=f"Program with ID {program.pk} is still being stopped",
    )


def _chosen(program: Program, port: int | None, every: bool, *, verb: str) -> list[str]:
    """The processes that a request means; Refused when it doesn't say so as the program needs it."""
    if port is not None and every:
        raise Refused("Port parameter and all: true can't be combined")
    if not program.has_ports and port is None:
        return [program.group]
    if every:
        return [str(each) for each in program.ports]
    if port is None and verb == "stop":
        raise Refused('Port parameter or "all: true" required to stop port-range program instances')
    return [process_name(program, require_port(program, port))]


def require_port(program: Program, port: int | None) -> int:
    """The port of an instance; Refused if none was named, or one that the program doesn't have."""
    if not program.has_ports:
        raise Refused(f"Program with ID {program.pk} has no port range")
    if port is None:
        raise Refused(
            "Port parameter required for port-range programs. "
            f"Available range: {program.port_start}-{program.port_end}"
        )
    if port not in program.ports:
        raise Refused(f"Port {port} is outside valid range [{program.port_start}-{program.port_end}]")
    return port


def _check_enabled(program: Program) -> None:
    if not program.enabled:
        raise Refused(f"Program with ID {program.pk} is disabled")


def _registered_state(program: Program) -> ProgramState:
    """The program's state; one that supervisord has lost is registered again on the way."""
    state = supervisor.state(program.group)
    if state is None:
        with write_transaction():
            # As it is by now: somebody else may have just disabled it.
            program = get_program(program.pk)
            _check_enabled(program)
            registration.register(program)
        state = supervisor.state(program.group)
    return state or {"changing": False, "digest": "", "processes": {}}


@contextmanager
def _still_registered(program: Program, port: int | None) -> Iterator[None]:
    """Somebody else may disable or remove it at any time."""
    try:
        yield
    except NotRegistered as problem:
        raise _withdrawn(program, port) from problem


def _withdrawn(program: Program, port: int | None) -> Refused:
    return Refused(f"{_whom(program, port)} was withdrawn while it was starting")


def _is_active(process: ProcessState) -> bool:
    return statuses.status_of(process) in statuses.ACTIVE


def _is_on_its_way(process: ProcessState) -> bool:
    return bool(process.get("queued")) or process["state"] == "starting"


def _wait_until_started(
    watch: Watch, program: Program, names: list[str], port: int | None, timeout: int
) -> ProgramState | None:
    """Wait until processes run, or have run to a good end; Refused for a bad one."""

    wanted = "running" if program.ready_port is None else "ready"

    def started(state: ProgramState | None) -> bool:
        if state is None:
            raise _withdrawn(program, port)
        return all(_has_started(program, port, process_state(state, name)) for name in names)

    return waiting.watch_until(
        watch,
        program.group,
        started,
        timeout=timeout,
        look_every=waiting.LOOK_EVERY_SECONDS if program.ready_port is None else _PROBE_EVERY_SECONDS,
        otherwise=f"{_whom(program, port)} is not {wanted} after {timeout} seconds",
    )


def _has_started(program: Program, port: int | None, process: ProcessState) -> bool:
    word = process["state"]
    if process.get("queued") or word in ("starting", "backoff", "stopping"):
        return False
    if word == "exited" and process["last_run"]["exit_code"] == 0:
        return True
    if word in ("exited", "fatal"):
        why = statuses.why_it_ended(process.get("last_run"))
        raise Refused(f"{_whom(program, port)} did not start: {why}")
    if word == "stopped":
        raise Refused(f"{_whom(program, port)} was stopped while it was starting")
    return program.ready_port is None or readiness.accepts(program.ready_port)


def _start_answer(
    program: Program, state: ProgramState | None, port: int | None, already: bool | None
) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    if already is not None:
        answer["already_running"] = already
    if port is not None:
        process = process_state(state, process_name(program, port))
        answer["instance"] = statuses.instance(program, port, process)
    return answer


def _wait_until_gone(program: Program) -> None:
    waiting.wait_until_gone(program, otherwise=f"Program with ID {program.pk} is still being stopped")


def _whom(program: Program, port: int | None) -> str:
    return f"Program with ID {program.pk}" if port is None else f"Instance {program.instance_name(port)}"
