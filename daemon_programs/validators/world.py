"""The rules of what surrounds a process: its files of variables, its umask, its priority and its limits."""

import os
import re
from typing import Any

from django.core.exceptions import ValidationError

from daemon_programs.text import printable
from daemon_programs.validators.rules import VANISHED, check_path, has_control_characters

NICE = (-20, 19)
# The resources whose use can be limited, and their highest limit: the largest integer that JSON clients
# represent exactly.
LIMITS = ("nofile", "nproc", "core", "as", "cpu", "fsize", "stack", "memlock")
HIGHEST_LIMIT = 2**53 - 1
UNLIMITED = "unlimited"
MAX_ENV_FILES = 16

UMASK_SENTENCE = "Field 'umask' must be three octal digits, such as \"022\""
_UMASK = re.compile(r"0?[0-7]{3}")


def check_umask(umask: str) -> None:
    """Require three octal digits, which a zero may precede."""
    if not _UMASK.fullmatch(umask):
        raise ValidationError(UMASK_SENTENCE)


def normalize_umask(umask: str) -> str:
    """Return the umask without the zero before its three digits."""
    return umask[-3:]


def check_nice(nice: int) -> None:
    """Refuse a priority that only root can give a process."""
    if nice < 0 and os.geteuid() != 0:
        raise ValidationError("Field 'nice' must not be negative: the daemon does not run as root", VANISHED)


def check_limits(limits: Any) -> None:
    """Require a map of known resources to numbers or ``"unlimited"``."""
    if not isinstance(limits, dict):
        raise ValidationError("Field 'limits' must be an object that maps resources to limits")
    for name, value in limits.items():
        if name not in LIMITS:
            raise ValidationError(
                f"Field 'limits' has an unknown resource: '{printable(str(name))}' "
                f"(it can have {', '.join(LIMITS)})"
            )
        if value != UNLIMITED and (type(value) is not int or not 0 <= value <= HIGHEST_LIMIT):
            raise ValidationError(
                f"Field 'limits': '{name}' must be an integer between 0 and {HIGHEST_LIMIT}, "
                f'or "{UNLIMITED}"'
            )


def env_files(text: str) -> list[str]:
    """Return the paths, which stand on lines, each with its ``-`` if it has one. Empty lines don't count."""
    return [line for line in text.split("\n") if line]


def check_env_file(text: str) -> None:
    """Require absolute paths, one on each line. A ``-`` before one allows that there is no such file.

    Whether they exist is known only when they are read, with the rights of the program's user.
    """
    files = env_files(text)
    if len(files) > MAX_ENV_FILES:
        raise ValidationError(f"Field 'env_file' must not name more than {MAX_ENV_FILES} files")
    for file in files:
        path = file.removeprefix("-")
        check_path("env_file", path)
        if has_control_characters(path):
            raise ValidationError("Field 'env_file' must not contain control characters")
        if path.endswith("/"):
            raise ValidationError(f"Field 'env_file' must name files: '{path}' is a folder")
