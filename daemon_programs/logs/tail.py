"""Read the last lines of a log, in blocks from its end: the size of the file doesn't matter."""

import os
import pwd

from django.conf import settings

from daemon_programs.exceptions import Refused
from daemon_programs.supervisor import logfiles

_BLOCK_BYTES = 64 * 1024
# A program may write any amount without a line break, so a number of lines does not limit the size.
_MAX_BYTES = 16 * 1024 * 1024
_NO_ID = -1  # of a user or group: matches none


def tail(path: str, lines: int, user: str) -> list[str]:
    """Return the last lines of a log, at most ``lines``; none if it is missing or not a regular file.

    ``user`` is the user that the program runs as. Bytes that are not UTF-8 are returned as U+FFFD
    (docs/contract.md, section 3).
    """
    log = open_log(path, user)
    if log is None:
        return []
    try:
        content = _read_from_end(log, lines)
    finally:
        os.close(log)
    parts = content.removesuffix(b"\n").split(b"\n") if content else []
    return [part.decode(errors="replace").removesuffix("\r") for part in parts[-lines:]]


def open_log(path: str, user: str) -> int | None:
    """Return a descriptor to read a log; None if it is missing or not a regular file.

    The path is opened by the rules of ``supervisor.logfiles``: a user who may write to the log's folder
    could put a link there, to have the daemon read another user's file. Raise Refused for a link or a
    file that may not be the log of ``user``.
    """
    access = logfiles.Access(_uid_of(user), _NO_ID, str(settings.LOGS_DIR), tuple(settings.LOG_ROOTS))
    try:
        with logfiles.located(path, access) as place:
            return logfiles.open_to_read(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except logfiles.LogRefused as problem:
        raise Refused(f"The log can't be read: {problem}") from problem


def _uid_of(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return _NO_ID


def _read_from_end(descriptor: int, lines: int) -> bytes:
    position = os.fstat(descriptor).st_size
    blocks: list[bytes] = []
    breaks = read = 0
    # Read one break more than lines: the one that ends the line before the first wanted.
    while position > 0 and breaks <= lines and read < _MAX_BYTES:
        start = max(position - _BLOCK_BYTES, 0)
        block = os.pread(descriptor, position - start, start)
        blocks.append(block)
        breaks += block.count(b"\n")
        read += len(block)
        position = start
    return b"".join(reversed(blocks))
