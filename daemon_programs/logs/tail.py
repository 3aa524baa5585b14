"""The last lines of a log, read in blocks from its end: the cost is that of the lines, not of the file."""

import os
import pwd

from django.conf import settings

from daemon_programs.exceptions import Refused
from daemon_programs.supervisor import logfiles

_BLOCK_BYTES = 64 * 1024
# A program may write megabytes without a line break; an answer has an end all the same.
_MOST_BYTES = 16 * 1024 * 1024
_NOBODY = -1


def tail(path: str, lines: int, user: str) -> list[str]:
    """At most ``lines`` last lines; none if there is no such file yet, or it is no file to read back.

    Bytes that are no UTF-8 come back as U+FFFD (contract, section 3). ``user`` is the program's.
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
    """A descriptor to read a log with; None if there is no such file yet, or it is no file to read back.

    Whoever may write the log's folder can put a link there, to have the stack read a file for them.
    So the way is walked as ``supervisor.logfiles`` says; Refused for a file that is none of ``user``'s.
    """
    access = logfiles.Access(_uid_of(user), _NOBODY, str(settings.LOGS_DIR), tuple(settings.LOG_ROOTS))
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
        return _NOBODY


def _read_from_end(descriptor: int, lines: int) -> bytes:
    position = os.fstat(descriptor).st_size
    blocks: list[bytes] = []
    breaks = read = 0
    # One break more than lines: that of the line before the first one wanted.
    while position > 0 and breaks <= lines and read < _MOST_BYTES:
        start = max(position - _BLOCK_BYTES, 0)
        block = os.pread(descriptor, position - start, start)
        blocks.append(block)
        breaks += block.count(b"\n")
        read += len(block)
        position = start
    return b"".join(reversed(blocks))
