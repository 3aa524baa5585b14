"""The verbs of programs, as the buttons and the actions of the admin call them."""

from collections.abc import Callable
from typing import Any

from daemon_programs.admin.base import NothingToDo
from daemon_programs.models import Program
from daemon_programs.programs import services, signalling
from daemon_programs.supervisor.instances import PORT, Key, KeyKind
from daemon_programs.text import to_number

# How long a button waits for a start, so that the next page shows the result.
BUTTON_TIMEOUT_SECONDS = 5


def start(program: Program, **options: Any) -> None:
    """Start a program or instances of it; raise NothingToDo if they run already."""
    result = services.start_program(program, if_not_running=True, **options)
    if result["already_running"]:
        raise NothingToDo("runs already")


# By the name of a button: the verb, and its past participle.
OPERATIONS: dict[str, tuple[Callable[..., object], str]] = {
    "start": (start, "started"),
    "stop": (services.stop_program, "stopped"),
    "restart": (services.restart_program, "restarted"),
    "reload": (signalling.reload_program, "reloaded"),
}
WAITING = ("start", "restart")  # for the end of what they have begun, if they are told to


def kind_of(program: Program) -> KeyKind:
    """Return the kind of a program's keys; that of ports for a program with one process."""
    return program.keys.kind if program.keys else PORT


def key_from(program: Program, text: str) -> Key | None:
    """Return the key that a text names; None if it is no number."""
    value = to_number(text, max_digits=9)
    return None if value is None else Key(kind_of(program), value)
