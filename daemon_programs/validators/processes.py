"""Validate what a program's process finds when it is started, and what it may use."""

from typing import Any

from django.core.exceptions import ValidationError

from daemon_programs.text import encodable
from daemon_programs.validators import rules

MEMORY_LIMIT_BYTES = (1024 * 1024, 2**53 - 1)  # the largest integer that JSON clients represent exactly
MAX_COMMANDS = 16
COMMAND_SECONDS = (1, 3600)
DEFAULT_COMMAND_SECONDS = 60
NULL, PIPE = STDIN = ("null", "pipe")

_FIELD = "before_start"


def check_stdin(stdin: str, terminal_id: int | None) -> None:
    """Raise a ValidationError for an unknown choice, and for a pipe in the place of a terminal."""
    if stdin not in STDIN:
        raise ValidationError({"stdin": f"Field 'stdin' must be one of: {', '.join(STDIN)}"})
    if stdin == PIPE and terminal_id is not None:
        raise ValidationError({"stdin": "Field 'stdin' can't be combined with terminal_id"})


def check_before_start(commands: Any) -> None:
    """Require a list of commands, as strings or as objects with a time-out."""
    if not isinstance(commands, list):
        raise ValidationError(f"Field '{_FIELD}' must be a list of commands")
    if len(commands) > MAX_COMMANDS:
        raise ValidationError(f"Field '{_FIELD}' must have at most {MAX_COMMANDS} commands")
    for number, each in enumerate(commands, start=1):
        _check_before_start_command(number, each)


def _check_before_start_command(number: int, each: Any) -> None:
    if isinstance(each, str):
        each = {"command": each}
    if not isinstance(each, dict) or "command" not in each or each.keys() - {"command", "timeout"}:
        raise ValidationError(
            f"Field '{_FIELD}' must have strings or objects with command and timeout: number {number} is none"
        )
    command, timeout = each["command"], each.get("timeout", DEFAULT_COMMAND_SECONDS)
    if not isinstance(command, str):
        raise ValidationError(
            f"Field '{_FIELD}' must have commands that are strings: number {number} is none"
        )
    if encodable(command) != command:
        raise ValidationError(f"Field '{_FIELD}' must have commands that are valid Unicode text")
    low, high = COMMAND_SECONDS
    if type(timeout) is not int or not low <= timeout <= high:
        raise ValidationError(f"Field '{_FIELD}' must have timeouts between {low} and {high} seconds")
    arguments = rules.split_command(command, field=_FIELD)
    if not arguments or not arguments[0].strip():
        raise ValidationError(f"Field '{_FIELD}' must have commands that are not empty")
    rules.check_command(command, field=_FIELD)


def before_start_steps(commands: list[Any]) -> list[dict[str, Any]]:
    """Return the commands as supervisord runs them."""
    objects = [each if isinstance(each, dict) else {"command": each} for each in commands]
    return [
        {
            "argv": rules.split_command(each["command"], field=_FIELD),
            "timeout": each.get("timeout", DEFAULT_COMMAND_SECONDS),
        }
        for each in objects
    ]
