"""The rules of the fields (contract, section 3), each with its sentence.

They are the validators of the models' fields and of ``clean``, so the API, the admin and an import
refuse the same things in the same words.
"""

import os
import pwd
import re
import shlex
import unicodedata
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from daemon_programs.supervisor.logfiles import is_below
from daemon_programs.text import printable

NAME_LENGTH = 128
DESCRIPTION_LENGTH = 500
DELAY_SECONDS = (0, 3600)
STOP_GRACE_SECONDS = (0, 300)
PRIORITY = (1, 999)
LOG_BACKUPS = (0, 100)
LOG_MAX_BYTES = (0, 2**53 - 1)  # what JSON clients can count exactly
PORTS = (1, 65535)
MOST_PORTS = 1000
AUTORESTART = ("true", "false", "unexpected")
# The code of an error about what isn't there: it may have been when the value was taken.
VANISHED = "vanished"

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# How the tree of a program is found again; the plugin sets them.
_OWN_VARIABLES = frozenset(
    f"SUPERVISOR_{name}" for name in ("ENABLED", "SERVER_URL", "GROUP_NAME", "PROCESS_NAME", "PROCESS_KEY")
)
_DISPLAY = re.compile(r"([A-Za-z0-9.-]*:)?[0-9]{1,5}(\.[0-9]{1,2})?")
_LONGEST_PATH = 4095
# The kernel's limits of what a program can be handed: one string, and all of it together (with a
# pointer for each; the half of the usual 2 MiB leaves room for what the stack adds).
_LONGEST_STRING = 128 * 1024 - 1
_MOST_ARGUMENT_BYTES = 1024 * 1024
_POINTER = 9


def check_name(name: str) -> None:
    if "'" in name or '"' in name:
        raise ValidationError("Name must not contain quote characters")
    if has_control_characters(name):
        raise ValidationError("Name must not contain control characters")
    if not name.strip():
        raise ValidationError("Field 'name' is required and must be a non-empty string")


def check_command(command: str) -> None:
    if any(character in command for character in "\n\r\0"):
        raise ValidationError("Field 'command' must not contain line breaks or NUL characters")
    arguments = split_command(command)
    if not arguments or not arguments[0].strip():
        raise ValidationError("Field 'command' is required and must be a non-empty string")
    if any(len(argument.encode()) > _LONGEST_STRING for argument in arguments):
        raise ValidationError("Field 'command' has an argument that is longer than 128 KiB")
    if _size(arguments) > _MOST_ARGUMENT_BYTES:
        raise ValidationError("Field 'command' has more and longer arguments than a program can be given")


def split_command(command: str) -> list[str]:
    """The arguments of a command line, as a POSIX shell splits and unquotes them; no shell is run."""
    try:
        return shlex.split(command)
    except ValueError as problem:
        raise ValidationError(
            f"Field 'command' can't be split into arguments: {str(problem).lower()}"
        ) from None


def check_user(user: str) -> None:
    try:
        account = pwd.getpwnam(user)
    except (KeyError, ValueError):
        raise ValidationError(f'User "{user}" does not exist on the system', VANISHED) from None
    if os.geteuid() != 0 and account.pw_uid != os.geteuid():
        own = pwd.getpwuid(os.geteuid()).pw_name
        raise ValidationError(
            f'User "{user}" can\'t be used: without root the daemon runs programs as "{own}" only'
        )
    if settings.ALLOWED_USERS and user not in settings.ALLOWED_USERS:
        raise ValidationError(
            f"Field 'user' must be one of those that programs may run as: {', '.join(settings.ALLOWED_USERS)}"
        )


def check_directory(directory: str) -> None:
    _check_path("directory", directory)
    if not os.path.isdir(directory):
        raise ValidationError(f"Working directory '{directory}' does not exist", VANISHED)
    _check_roots("directory", directory, settings.WORK_ROOTS)


def check_home(user: str) -> None:
    """A user's home, where a program runs that names no directory."""
    try:
        home = pwd.getpwnam(user).pw_dir
    except (KeyError, ValueError):
        return  # which is said of the user
    _check_roots("directory", home if os.path.isdir(home) else "/", settings.WORK_ROOTS)


def check_stdout_logfile(path: str) -> None:
    _check_log("stdout_logfile", path)


def check_stderr_logfile(path: str) -> None:
    _check_log("stderr_logfile", path)


def _check_log(field: str, path: str) -> None:
    """An absolute path whose folder exists or can be made, below DAEMON_LOG_ROOTS if they are set."""
    _check_path(field, path)
    if has_control_characters(path):
        raise ValidationError(f"Field '{field}' must not contain control characters")
    if not is_below(path, str(settings.LOGS_DIR)):  # where logs are that programs don't name
        _check_roots(field, path, settings.LOG_ROOTS)
    if path.endswith("/") or os.path.isdir(path):
        raise ValidationError(f"Field '{field}' must name a file: '{path}' is a folder", VANISHED)
    folder = os.path.dirname(path)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise ValidationError(f"Field '{field}': the folder of '{path}' can't be made or written", VANISHED)


def _check_roots(field: str, path: str, roots: list[str]) -> None:
    if roots and not any(is_below(path, root) for root in roots):
        raise ValidationError(f"Field '{field}' must lie below {' or '.join(roots)}, and '{path}' does not")


def _check_path(field: str, path: str) -> None:
    if not path.startswith("/"):
        raise ValidationError(f"Field '{field}' must be an absolute path")
    if (
        "\0" in path
        or len(path.encode()) > _LONGEST_PATH
        or any(len(part.encode()) > 255 for part in path.split("/"))
    ):
        raise ValidationError(f"Field '{field}' must be a path that the system can have")


def check_environment(environment: Any) -> None:
    if not isinstance(environment, dict):
        raise ValidationError("Field 'environment' must be an object that maps names to strings")
    for name, value in environment.items():
        if not isinstance(name, str) or not _VARIABLE_NAME.fullmatch(name):
            raise ValidationError(
                f"Field 'environment' has a variable name that is not allowed: '{printable(name)}' "
                "(letters, digits and _, at most 128, no digit first)"
            )
        if name in _OWN_VARIABLES:
            raise ValidationError(f"Field 'environment' has a variable that the daemon sets itself: '{name}'")
        if not isinstance(value, str):
            raise ValidationError(
                f"Field 'environment' must be an object that maps names to strings: '{name}' is none"
            )
        if "\0" in value or not _is_text(value):
            raise ValidationError(
                f"Field 'environment' has a value that can't be passed on: '{name}' must be text without NUL"
            )
        if len(f"{name}={value}".encode()) > _LONGEST_STRING:
            raise ValidationError(f"Field 'environment' has a value that is longer than 128 KiB: '{name}'")
    if _size([f"{name}={value}" for name, value in environment.items()]) > _MOST_ARGUMENT_BYTES // 2:
        raise ValidationError("Field 'environment' has more and longer values than a program can be given")


def check_display(display: str) -> None:
    if not _DISPLAY.fullmatch(display):
        raise ValidationError('Field \'display\' must be an X display such as "1" or ":1"')


def normal_display(display: str) -> str:
    """``1`` and ``:1`` both mean ``:1``."""
    return display if ":" in display else f":{display}"


def check_port_range(start: int | None, end: int | None) -> None:
    if start is None or end is None:
        if start is not end:
            raise ValidationError("Field 'port_range' needs both start and end")
        return
    low, high = PORTS
    if not low <= start <= high or not low <= end <= high:
        raise ValidationError(f"Field 'port_range' must have ports between {low} and {high}")
    if end < start:
        raise ValidationError("Field 'port_range' must not end before it starts")
    if end - start >= MOST_PORTS:
        raise ValidationError(f"Field 'port_range' must not have more than {MOST_PORTS} ports")


def has_control_characters(text: str) -> bool:
    return any(unicodedata.category(character) == "Cc" for character in text)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size(strings: list[str]) -> int:
    return sum(len(string.encode()) + _POINTER for string in strings)
