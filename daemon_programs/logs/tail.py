"""Read the last lines of a log, in blocks from its end: the size of the file doesn't matter."""

import os
import pwd
from json.encoder import encode_basestring
from typing import NamedTuple

from django.conf import settings

from daemon_programs.exceptions import LogUnreadable, Refused
from daemon_programs.supervisor.filesystem import logfiles

_BLOCK_BYTES = 64 * 1024
# An answer has at most 4 MiB. A program may write any amount without a line break, and one byte may need six
# in JSON, so neither a number of lines nor one of bytes read limits that size.
MAX_JSON_BYTES = 4 * 1024 * 1024 - 64 * 1024
_NO_ID = -1  # of a user or group: matches none


class Tail(NamedTuple):
    """The last lines of a log."""

    lines: list[str]
    is_truncated: bool = False  # older lines, or the beginning of the only line, had no room


def tail(path: str, lines: int, user: str, max_json_bytes: int = MAX_JSON_BYTES) -> Tail:
    """Return the last lines of a log, at most ``lines``; none if it is missing or not a regular file.

    Their JSON has at most ``max_json_bytes``: the newest lines win. ``user`` is the user that the program
    runs as. Bytes that are not UTF-8 are returned as U+FFFD (docs/contract.md, section 3).
    """
    log = open_log(path, user)
    if log is None:
        return Tail([])
    try:
        # JSON is never shorter than what it is made of.
        content, is_whole = _read_from_end(log, lines, max_json_bytes)
    finally:
        os.close(log)
    parts = content.removesuffix(b"\n").split(b"\n") if content else []
    if not is_whole and len(parts) > 1:
        del parts[0]  # its beginning was not read
    newest = [part.decode(errors="replace").removesuffix("\r") for part in parts[-lines:]]
    fitting = _newest_that_fit(newest, max_json_bytes)
    return fitting if is_whole else fitting._replace(is_truncated=True)


def _newest_that_fit(lines: list[str], room: int) -> Tail:
    """Return the newest lines whose JSON has room; of the newest line at least its end."""
    for number, line in enumerate(reversed(lines)):
        room -= json_bytes(line)
        if room < 0:
            fitting = lines[len(lines) - number :]
            return Tail(fitting or [end_of(line, room + json_bytes(line))], True)
    return Tail(lines)


def end_of(line: str, room: int) -> str:
    """Return as much of the end of a line as has room in JSON."""
    line = line[-room:]
    while (size := json_bytes(line)) > room:
        line = line[-(len(line) * room // size) :]
    return line


def json_bytes(line: str) -> int:
    """Return the length of a line in JSON as the API writes it, with its line break."""
    separators = line.count("\u2028") + line.count("\u2029")  # which are escaped too
    return len(encode_basestring(line).encode()) + 3 * separators


def open_log(path: str, user: str) -> int | None:
    """Return a descriptor to read a log; None if it is missing or not a regular file.

    The path is opened by the rules of ``supervisor.logfiles``: a user who may write to the log's folder
    could put a link there, to have the daemon read another user's file. Raise Refused for a link or a
    file that may not be the log of ``user``, and LogUnreadable for a log that can't be opened.
    """
    access = logfiles.Access(_uid_of(user), _NO_ID, str(settings.LOGS_DIR), tuple(settings.LOG_ROOTS))
    try:
        with logfiles.located(path, access) as place:
            return logfiles.open_to_read(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except logfiles.LogRefused as problem:
        raise Refused(f"The log can't be read: {problem}") from problem
    except OSError as problem:
        raise LogUnreadable(path, problem) from problem


def _uid_of(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return _NO_ID


def _read_from_end(descriptor: int, lines: int, max_bytes: int) -> tuple[bytes, bool]:
    """Return the end of a file with the last lines, and whether all of them could be read."""
    position = os.fstat(descriptor).st_size
    blocks: list[bytes] = []
    breaks = read = 0
    # Read one break more than lines: the one that ends the line before the first wanted.
    while position > 0 and breaks <= lines and read < max_bytes:
        start = max(position - _BLOCK_BYTES, 0)
        block = os.pread(descriptor, position - start, start)
        blocks.append(block)
        breaks += block.count(b"\n")
        read += len(block)
        position = start
    return b"".join(reversed(blocks)), position == 0 or breaks > lines
