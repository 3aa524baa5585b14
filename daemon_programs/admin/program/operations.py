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
        raise unsuccessful(program, key, problem) from problem
    if result["already_running"]:
        raise NothingToDo("runs already")


def restart(program: Program, *, key: Key | None = None, wait: bool = False) -> None:
    """Restart a program or an instance of it; ``wait`` is as for `start`."""
    try:
        services.restart_program(program, key=key, wait=wait, timeout=BUTTON_TIMEOUT_SECONDS)
    except (DidNotStart, WaitTimedOut) as problem:
        raise unsuccessful(program, key, problem) from problem


def stop(program: Program, *, key: Key | None = None) -> None:
    """Stop a program or an instance of it; raise NothingToDo if it does not run."""
    (name,) = select_processes(program, key, False, verb="stop")
    if not selected.is_alive(statuses.process_state(waiting.state_of(program), name)):
        raise NothingToDo("does not run")
    services.stop_program(program, key=key)


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
FOR_SELECTED = ("start", "stop", "restart")


def operate_selected(program: Program, name: str, keys: Sequence[Key]) -> selected.Result:
    """Start, stop or restart chosen instances of a program."""
    if name == "start":
        return selected.start(program, keys, BUTTON_TIMEOUT_SECONDS)
    if name == "restart":
        return selected.restart(program, keys, BUTTON_TIMEOUT_SECONDS)
    if name == "stop":
        return selected.stop(program, keys)
    raise Refused("This can't be done to selected instances")


def keys_for(program: Program, name: str) -> list[Key]:
    """Return the instances that a verb for all of them is about: a restart is about those that run."""
    keys = list(program.keys or ())
    if name != "restart":
        return keys
    services.check_enabled(program)
    state = waiting.state_of(program)
    running = [key for key in keys if selected.is_alive(statuses.process_state(state, key.process))]
    if not running:
        raise NothingToDo("does not run")
    return running


def kind_of(program: Program) -> KeyKind:
    """Return the kind of a program's keys; that of ports for a program with one process."""
    return program.keys.kind if program.keys else PORT


def key_from(program: Program, text: str) -> Key | None:
    """Return the key that a text names; None if it is no number."""
    value = to_number(text, max_digits=9)
    return None if value is None else Key(kind_of(program), value)
