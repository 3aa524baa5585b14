"""Files of variables, read in a forked child once it has become the program's user.

So they are read with that user's rights, by the kernel's own judgement. No error sentence quotes what is in
a file. The syntax is python-dotenv's, without interpolation.
"""

import codecs
import errno
import io
import os
import stat

from dotenv.parser import parse_stream

_MOST_BYTES = 1024 * 1024
# What the parser uses for escapes. In the child nothing can be imported: the user may not read the library.
codecs.lookup("unicode-escape")
_FIRST_DESCRIPTOR = 3  # after standard input, output and error


class EnvFileUnusable(Exception):
    """The variables of a file can't be used; the text says why."""


def close_inherited(kept: int) -> None:
    """Close supervisord's descriptors but one.

    Otherwise a path such as ``/proc/self/fd/7`` would lead to a file of supervisord's that this user may
    read, in a folder that this user may not enter.
    """
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    os.closerange(_FIRST_DESCRIPTOR, kept)
    os.closerange(max(kept + 1, _FIRST_DESCRIPTOR), highest + 1)


def read(files: list[str]) -> dict[str, str]:
    """Return the variables of some files, of which later ones win.

    ``-`` before a path means that there may be no such file. Raise EnvFileUnusable.
    """
    variables: dict[str, str] = {}
    for file in files:
        path = file.removeprefix("-")
        try:
            variables.update(_parse(_text_of(path), path))
        except (FileNotFoundError, NotADirectoryError) as problem:
            if not file.startswith("-"):
                raise _unreadable(path, problem) from None
        except OSError as problem:
            raise _unreadable(path, problem) from None
    return variables


def _unreadable(path: str, problem: OSError) -> EnvFileUnusable:
    why = os.strerror(problem.errno or errno.EIO).lower()
    return EnvFileUnusable(f"env_file '{path}' can't be read: {why}")


def _text_of(path: str) -> str:
    """Return the content of a regular file that is not too large. Nothing else is waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_dev == os.stat("/proc").st_dev:
            raise EnvFileUnusable(f"env_file '{path}' is not a regular file")
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise EnvFileUnusable(f"env_file '{path}' is larger than 1 MiB")
    return content.decode(errors="surrogateescape")


def _parse(text: str, path: str) -> dict[str, str]:
    """Return the variables; a name without ``=`` sets none."""
    variables = {}
    for line in parse_stream(io.StringIO(text, newline="")):
        first = line.original.line + _blank_lines_before(line.original.string)
        if line.error:
            raise EnvFileUnusable(f"line {first} of env_file '{path}' is not a variable, NAME=value")
        if line.key is None or line.value is None:
            continue
        if "=" in line.key or "\0" in line.key + line.value:
            raise EnvFileUnusable(f"line {first} of env_file '{path}' can't be passed to a program")
        variables[line.key] = line.value
    return variables


def _blank_lines_before(text: str) -> int:
    """Return how many lines of a statement precede its first character."""
    return text[: len(text) - len(text.lstrip())].count("\n")
