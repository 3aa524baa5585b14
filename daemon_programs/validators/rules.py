"""Validate the fields of a program (docs/contract.md, section 3).

Each function raises a ValidationError with a whole sentence. The models' fields and ``clean`` use them, so
the API, the admin and an import refuse the same values with the same sentences.
"""

import os
import pwd
import re
import unicodedata
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from daemon_programs.supervisor.filesystem.logfiles import is_below
from daemon_programs.supervisor.filesystem.sight import may_look_up
from daemon_programs.text import printable, split_words

NAME_LENGTH = 128
IDS = (1, 2**53 - 1)  # larger ones are not exact in JavaScript
DESCRIPTION_LENGTH = 500
DELAY_SECONDS = (0, 3600)
STOP_GRACE_SECONDS = (0, 300)
PRIORITY = (1, 999)
LOG_BACKUPS = (0, 100)
LOG_MAX_BYTES = (0, 2**53 - 1)  # the largest integer that JSON clients represent exactly
PORTS = (1, 65535)
MAX_PORTS = 1000
AUTORESTART = ("true", "false", "unexpected")
# The code of errors about things outside the database, which may have existed when the value was saved.
VANISHED = "vanished"

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# How the tree of a program is found again; the plugin sets them.
_RESERVED_VARIABLES = frozenset(
    f"SUPERVISOR_{name}" for name in ("ENABLED", "SERVER_URL", "GROUP_NAME", "PROCESS_NAME")
)
_DISPLAY = re.compile(r"([A-Za-z0-9.-]*:)?[0-9]{1,5}(\.[0-9]{1,2})?")
_MAX_PATH_BYTES = 4095
_MAX_FILE_NAME_BYTES = 255
# The kernel limits each string that a program is started with, and all of them together: usually to 2 MiB,
# of which the command may take half and the environment a quarter. The rest is left for what the stack adds.
_MAX_STRING_BYTES = 128 * 1024 - 1
_MAX_ARGUMENT_BYTES = 1024 * 1024
_MAX_ENVIRONMENT_BYTES = _MAX_ARGUMENT_BYTES // 2
_EXTRA_STRING_BYTES = 9  # a pointer and the NUL at the end


def check_name(name: str) -> None:
    """Require visible text without quotes and control characters."""
    if "'" in name or '"' in name:
        raise ValidationError("Name must not contain quote characters")
    if has_control_characters(name):
        raise ValidationError("Name must not contain control characters")
    if not name.strip():
        raise ValidationError("Field 'name' is required and must be a non-empty string")


def check_command(command: str, field: str = "command") -> None:
    """Require a command line that can be split, and whose arguments the kernel can take."""
    if any(character in command for character in "\n\r\0"):
        raise ValidationError(f"Field '{field}' must not contain line breaks or NUL characters")
    arguments = split_command(command, field)
    if not arguments or not arguments[0].strip():
        raise ValidationError(f"Field '{field}' is required and must be a non-empty string")
    if any(len(argument.encode()) > _MAX_STRING_BYTES for argument in arguments):
        raise ValidationError(f"Field '{field}' has an argument that is longer than 128 KiB")
    if _size(arguments) > _MAX_ARGUMENT_BYTES:
        raise ValidationError(f"Field '{field}' has more and longer arguments than a program can be given")


def split_command(command: str, field: str = "command") -> list[str]:
    """Return the arguments of a command line, split and unquoted as by a POSIX shell. No shell is run."""
    try:
        return split_words(command)
    except ValueError as problem:
        raise ValidationError(
            f"Field '{field}' can't be split into arguments: {str(problem).lower()}"
        ) from None


def check_user(user: str) -> None:
    """Require an existing user that the daemon may run programs as."""
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
    """Require a path of a directory, below DAEMON_WORK_ROOTS if they are set."""
    check_path("directory", directory)
    _check_roots("directory", directory, settings.WORK_ROOTS)


def check_existing_directory(user: str, directory: str) -> None:
    """Require an existing directory; with DAEMON_ALLOWED_USERS tell only what the program's user may see."""
    if not may_see(user, directory):
        raise ValidationError(
            f"Working directory '{directory}' can't be entered by the user \"{user}\"", VANISHED
        )
    if not os.path.isdir(directory):
        raise ValidationError(f"Working directory '{directory}' does not exist", VANISHED)


def may_see(user: str, path: str) -> bool:
    """Return whether clients may learn if a path exists.

    With DAEMON_ALLOWED_USERS they have the power of those users, and must not learn more than the users can.
    """
    if not settings.ALLOWED_USERS:
        return True
    try:
        return user in settings.ALLOWED_USERS and may_look_up(pwd.getpwnam(user), path)
    except KeyError:
        return False


def check_home(user: str) -> None:
    """Check the home of a user, in which a program runs if it names no directory."""
    try:
        home = pwd.getpwnam(user).pw_dir
    except (KeyError, ValueError):
        return  # `check_user` reports it
    _check_roots("directory", home if os.path.isdir(home) else "/", settings.WORK_ROOTS)


def check_stdout_logfile(path: str) -> None:
    """Require a path at which the log of stdout can be written."""
    _check_log("stdout_logfile", path)


def check_stderr_logfile(path: str) -> None:
    """Require a path at which the log of stderr can be written."""
    _check_log("stderr_logfile", path)


def _check_log(field: str, path: str) -> None:
    """Require a path whose folder exists or can be created, below DAEMON_LOG_ROOTS if they are set."""
    check_path(field, path)
    if has_control_characters(path):
        raise ValidationError(f"Field '{field}' must not contain control characters")
    if not is_below(path, str(settings.LOGS_DIR)):  # the folder of the default logs
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


def check_path(field: str, path: str) -> None:
    """Require an absolute path that a file can have."""
    if not path.startswith("/"):
        raise ValidationError(f"Field '{field}' must be an absolute path")
    if (
        "\0" in path
        or len(path.encode()) > _MAX_PATH_BYTES
        or any(len(part.encode()) > _MAX_FILE_NAME_BYTES for part in path.split("/"))
    ):
        raise ValidationError(f"Field '{field}' must be a path that the system can have")


def check_environment(environment: Any) -> None:
    """Require a map of variable names to strings that the kernel can take."""
    if not isinstance(environment, dict):
        raise ValidationError("Field 'environment' must be an object that maps names to strings")
    for name, value in environment.items():
        if not isinstance(name, str) or not _VARIABLE_NAME.fullmatch(name):
            raise ValidationError(
                f"Field 'environment' has a variable name that is not allowed: '{printable(name)}' "
                "(letters, digits and _, at most 128, no digit first)"
            )
        if name in _RESERVED_VARIABLES:
            raise ValidationError(f"Field 'environment' has a variable that the daemon sets itself: '{name}'")
        if not isinstance(value, str):
            raise ValidationError(
                f"Field 'environment' must be an object that maps names to strings: '{name}' is none"
            )
        if "\0" in value or not _is_encodable(value):
            raise ValidationError(
                f"Field 'environment' has a value that can't be passed on: '{name}' must be text without NUL"
            )
        if len(f"{name}={value}".encode()) > _MAX_STRING_BYTES:
            raise ValidationError(f"Field 'environment' has a value that is longer than 128 KiB: '{name}'")
    if _size([f"{name}={value}" for name, value in environment.items()]) > _MAX_ENVIRONMENT_BYTES:
        raise ValidationError("Field 'environment' has more and longer values than a program can be given")


def check_display(display: str) -> None:
    """Require the name of an X display, with or without the colon before its number."""
    if not _DISPLAY.fullmatch(display):
        raise ValidationError('Field \'display\' must be an X display such as "1" or ":1"')


def normalize_display(display: str) -> str:
    """Return the display with its colon: ``1`` and ``:1`` both mean ``:1``."""
    return display if ":" in display else f":{display}"


def check_port_range(start: int | None, end: int | None) -> None:
    """Require two ports in order and within the limits, or none."""
    if start is None or end is None:
        if start is not end:
            raise ValidationError("Field 'port_range' needs both start and end")
        return
    low, high = PORTS
    if not low <= start <= high or not low <= end <= high:
        raise ValidationError(f"Field 'port_range' must have ports between {low} and {high}")
    if end < start:
        raise ValidationError("Field 'port_range' must not end before it starts")
    if end - start >= MAX_PORTS:
        raise ValidationError(f"Field 'port_range' must not have more than {MAX_PORTS} ports")


def has_control_characters(text: str) -> bool:
    """Return whether a text has control characters, line breaks included."""
    return any(unicodedata.category(character) == "Cc" for character in text)


def _is_encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size(strings: list[str]) -> int:
    """Return how many bytes of the kernel's limit the strings take."""
    return sum(len(string.encode()) + _EXTRA_STRING_BYTES for string in strings)
