"""Command lines, and variables that are left to `daemonctl apply`."""

import re
import shlex
from collections.abc import Sequence

# What stands for a variable of who applies, until the writer makes `${NAME}` of it: no file has it itself.
_OPEN, _CLOSE = "\ue000", "\ue001"
MARKS = _OPEN + _CLOSE
_VARIABLE = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_IN_ANSI_QUOTES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r"}


def variable(name: str, default: str | None = None) -> str:
    """Return what stands for a variable that has its value from who applies the file."""
    return f"{_OPEN}{name}{'' if default is None else f':-{default}'}{_CLOSE}"


def has_variables(text: str) -> bool:
    """Return whether a text has variables of who applies the file."""
    return _OPEN in text


def variables_written(text: str) -> str:
    """Return a text with its variables as the file has them: `${NAME}`."""
    return _VARIABLE.sub(r"${\1}", text)


def command_line(arguments: Sequence[str]) -> str:
    """Return a command line of these arguments.

    The API takes no line breaks. A bash that has them in its own quotes, and becomes the command, does.
    """
    if any("\n" in each or "\r" in each for each in arguments):
        return shlex.join(["bash", "-c", f"exec {' '.join(map(_ansi_quoted, arguments))}"])
    return " ".join(map(_quoted, arguments))


def _quoted(argument: str) -> str:
    """Quote an argument, but leave one as it is that has nothing but a variable to be quoted for."""
    quoted = shlex.quote(argument)
    if _OPEN in argument and shlex.quote(re.sub(f"[{MARKS}]", "", argument))[0] not in "'\"":
        return argument
    if "'" in argument and not re.search(r'["\\$`!]', argument):
        return f'"{argument}"'  # for people to read; no shell is run
    return quoted


def _ansi_quoted(argument: str) -> str:
    if "\n" not in argument and "\r" not in argument:
        return shlex.quote(argument)
    return "$'" + "".join(_IN_ANSI_QUOTES.get(sign, sign) for sign in argument) + "'"
