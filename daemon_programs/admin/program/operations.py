"""The verbs of programs, as the buttons and the actions of the admin call them.

They tell apart what they have changed and what was so already, so that neither a message nor the history of
the admin says what is not true.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from daemon_programs.admin.base import NothingToDo
from daemon_programs.admin.program.starts import unsuccessful
from daemon_programs.exceptions import DidNotStart, Refused, WaitTimedOut
from daemon_programs.models import Program
from daemon_programs.programs import selected, services, signalling, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.targets import select_processes
from daemon_programs.supervisor.instances import PORT, Key, KeyKind
from daemon_programs.supervisor.processes.signals import SIGNALS
from daemon_programs.text import to_number

# How long a button waits for a start, so that the next page shows the result.
BUTTON_TIMEOUT_SECONDS = 5


class Operation(NamedTuple):
    """What a button does."""

    verb: Callable[..., object]
    done: str  # its past participle
    permission: str = "operate"


def start(program: Program, *, key: Key | None = None, wait: bool = False, **options: Any) -> None:
    """Start a program or instances of it; raise NothingToDo if they run already.

    With ``wait``, raise Unsuccessful if they don't run in time, with what they have done instead.
    """
    try:
        result = services.start_program(
            program, key=key, if_not_running=True, wait=wait, timeout=BUTTON_TIMEOUT_SECONDS, **options
        )
    except (DidNotStart, WaitTimedOut) as problem:
        raise _explained(program, key, problem) from problem
    if result["already_running"]:
        raise NothingToDo("runs already")


def restart(
    program: Program, *, key: Key | None = None, all_instances: bool = False, wait: bool = False
) -> None:
    """Restart a program or instances of it; raise NothingToDo if all are meant and none runs.

    ``wait`` is as for `start`.
    """
    if all_instances and program.keys is not None and not _is_any_alive(program, None, "restart"):
        services.check_enabled(program)
        raise NothingToDo("does not run")
    try:
        services.restart_program(
            program, key=key, all_instances=all_instances, wait=wait, timeout=BUTTON_TIMEOUT_SECONDS
        )
    except (DidNotStart, WaitTimedOut) as problem:
        raise _explained(program, key, problem) from problem


def stop(program: Program, *, key: Key | None = None, all_instances: bool = False) -> None:
    """Stop a program or instances of it; raise NothingToDo if they don't run."""
    if not _is_any_alive(program, key, "stop", all_instances=all_instances):
        raise NothingToDo("does not run")
    services.stop_program(program, key=key, all_instances=all_instances)


def enable(program: Program) -> None:
    """Enable a program; raise NothingToDo if it is enabled."""
    if program.enabled:
        raise NothingToDo("is enabled already")
    services.set_enabled(str(program.pk), True)


def disable(program: Program) -> None:
    """Disable a program; raise NothingToDo if it is disabled."""
    if not program.enabled:
        raise NothingToDo("is disabled already")
    services.set_enabled(str(program.pk), False)


def signal(program: Program, name: str) -> None:
    """Send a signal to all that runs of a program."""
    if name not in SIGNALS:
        raise Refused("The signal does not exist")
    signalling.signal_program(program, name, all_instances=True)


# By the name of a button.
OPERATIONS: dict[str, Operation] = {
    "start": Operation(start, "started"),
    "stop": Operation(stop, "stopped"),
    "restart": Operation(restart, "restarted"),
    "reload": Operation(signalling.reload_program, "reloaded"),
    "signal": Operation(signal, "signalled"),
    "enable": Operation(enable, "enabled", "change"),
    "disable": Operation(disable, "disabled", "change"),
}
WAITING = ("start", "restart")  # for the end of what they have begun, if they are told to


def operate_selected(program: Program, name: str, keys: Sequence[Key]) -> selected.Result:
    """Start, stop or restart the chosen instances of a program."""
    if not keys:
        raise Refused("No instance is selected")
    if name == "start":
        return selected.start(program, keys, BUTTON_TIMEOUT_SECONDS)
    if name == "restart":
        return selected.restart(program, keys, BUTTON_TIMEOUT_SECONDS)
    if name == "stop":
        return selected.stop(program, keys)
    raise Refused("This can't be done to selected instances")


def kind_of(program: Program) -> KeyKind:
    """Return the kind of a program's keys; that of ports for a program with one process."""
    return program.keys.kind if program.keys else PORT


def key_from(program: Program, text: str) -> Key | None:
    """Return the key that a text names; None if it is no number."""
    value = to_number(text, max_digits=9)
    return None if value is None else Key(kind_of(program), value)


def _is_any_alive(program: Program, key: Key | None, verb: str, *, all_instances: bool = True) -> bool:
    names = select_processes(program, key, all_instances, verb=verb)
    state = waiting.state_of(program)
    return any(selected.is_alive(statuses.process_state(state, name)) for name in names)


def _explained(program: Program, key: Key | None, problem: DidNotStart | WaitTimedOut) -> Exception:
    """Return what is known of a start of one process that has not succeeded; otherwise the problem itself."""
    if program.keys is not None and key is None:
        return problem
    return unsuccessful(program, key, problem)
