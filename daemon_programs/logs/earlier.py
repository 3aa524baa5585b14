"""Read what a log has before a position: the lines that a reader has not begun with, and all of it."""

import fcntl
import os
from collections.abc import Iterator
from typing import NamedTuple

from daemon_programs.logs import rotated
from daemon_programs.logs.cursor import SEEN_BYTES, Cursor
from daemon_programs.logs.rotated import LogFile

_BLOCK_BYTES = 64 * 1024
_MAX_BYTES = 2 * 1024 * 1024  # of one response; of a longer line, its end
MAX_COPY_BYTES = 64 * 1024 * 1024  # a response holds a thread while a client reads it


class Earlier(NamedTuple):
    """Some lines, oldest first, and the position before which older ones are."""

    lines: list[str]
    before: Cursor | None  # None at the beginning of what there is


def earlier(path: str, user: str, before: Cursor, lines: int) -> Earlier:
    """Return the last lines before a position, at most ``lines``, from rotated files as well.

    There are none if the file of the position has been removed.
    """
    files, _ = rotated.open_files(path, user, _none)
    try:
        for number, file in enumerate(files):
            if file.has(before):
                return _read_back(files[: number + 1], before.offset, lines)
    finally:
        rotated.close_all(files)
    return Earlier([], None)


def _none(file: LogFile) -> bool:
    return False


def _read_back(files: list[LogFile], end: int, wanted: int) -> Earlier:
    """Read so many lines before an offset of the last of a log's files, which are given oldest first."""
    found: list[bytes] = []
    room = _MAX_BYTES
    for file in reversed(files):
        begin, lines = last_lines(file, end, wanted - len(found), room)
        found[:0] = lines
        room -= end - begin
        if begin > 0 or room <= 0 or len(found) == wanted:
            return Earlier(_decoded(found), _cursor(file, begin))
        older = files[files.index(file) - 1]
        end = os.fstat(older.descriptor).st_size
    return Earlier(_decoded(found), None)


def last_lines(file: LogFile, end: int, count: int, room: int) -> tuple[int, list[bytes]]:
    """Return where the last ``count`` lines before an offset begin, and the lines."""
    begin, breaks = end, 0
    blocks: list[bytes] = []
    # One break more than lines: the one that ends the line before the first wanted.
    while begin > 0 and breaks <= count and end - begin < room:
        start = max(begin - _BLOCK_BYTES, 0)
        blocks.insert(0, os.pread(file.descriptor, begin - start, start))
        breaks += blocks[0].count(b"\n")
        begin = start
    content = b"".join(blocks)
    if not content:
        return 0, []
    lines = content.removesuffix(b"\n").split(b"\n")
    if begin > 0 and len(lines) > 1:
        begin += len(lines.pop(0)) + 1  # its beginning was not read
    surplus = lines[:-count]
    return begin + sum(len(line) + 1 for line in surplus), lines[len(surplus) :]


def _decoded(lines: list[bytes]) -> list[str]:
    return [line.decode(errors="replace").removesuffix("\r") for line in lines]


def _cursor(file: LogFile, offset: int) -> Cursor:
    length = min(SEEN_BYTES, offset)
    return file.cursor(offset, os.pread(file.descriptor, length, offset - length))


class Copy:
    """The content of a log at the moment, rotated files first, of which the newest MAX_COPY_BYTES."""

    def __init__(self, path: str, user: str) -> None:
        self._files, _ = rotated.open_files(path, user, _none)
        for file in self._files:
            # A client may take its time, and the next rotation is not to wait for it.
            fcntl.flock(file.descriptor, fcntl.LOCK_UN)
        self._sizes = [os.fstat(file.descriptor).st_size for file in self._files]

    def __iter__(self) -> Iterator[bytes]:
        surplus = max(sum(self._sizes) - MAX_COPY_BYTES, 0)
        for file, size in zip(self._files, self._sizes, strict=True):
            skipped = min(surplus, size)
            surplus -= skipped
            yield from _blocks(file, skipped, size)

    def close(self) -> None:
        """Close the files."""
        rotated.close_all(self._files)
        self._files = []


def _blocks(file: LogFile, offset: int, end: int) -> Iterator[bytes]:
    while block := os.pread(file.descriptor, min(_BLOCK_BYTES, end - offset), offset):
        yield block
        offset += len(block)
