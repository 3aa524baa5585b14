"""The files of a log: the one at its path, and those that it has been rotated to, ``.1``, ``.2``…"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

from daemon_programs.logs.cursor import SEEN_BYTES, Cursor, checksum
from daemon_programs.logs.tail import open_log

_MOST_BACKUPS = 100  # `rules.LOG_BACKUPS`
_MOST_ABSENT = 1  # name in a row: in a rotation one is missing at a time
_ATTEMPTS = 10
_BLOCK_BYTES = 64 * 1024
_MOST_BYTES_AT_START = 16 * 1024 * 1024  # as `logs.tail`
_GET_GENERATION = 0x80087601  # FS_IOC_GETVERSION


class LogFile:
    """An open file of a log. While it is open the plugin does not rotate the next one away."""

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.descriptor = descriptor
        self.key = key_of(status)
        self.generation = _generation_of(descriptor)
        self.missed_before = False  # whether something may have been written between the last one and it

    @classmethod
    def open(cls, path: str, user: str) -> "LogFile | None":
        """None: there is no such file, or nothing that can be read twice (a FIFO, a device)."""
        status = status_of(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None  # a FIFO must not even be opened: its writer would take that for a reader
        descriptor = open_log(path, user)
        if descriptor is None:
            return None
        with contextlib.suppress(OSError):  # file systems without locks, and a writer that looks just now
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return cls(descriptor, os.fstat(descriptor))

    def close(self) -> None:
        os.close(self.descriptor)

    def cursor(self, offset: int, seen: bytes) -> Cursor:
        return Cursor(self.key[1], self.generation, offset, checksum(seen))

    def has(self, cursor: Cursor) -> bool:
        """Whether a cursor is a place in this file."""
        if (self.key[1], self.generation) != (cursor.inode, cursor.generation):
            return False
        length = min(SEEN_BYTES, cursor.offset)
        seen = os.pread(self.descriptor, length, cursor.offset - length)
        return len(seen) == length and checksum(seen) == cursor.seen

    def is_followed_by_next(self) -> bool:
        """Whether nothing came between this file, which has gone, and the one that is there now.

        The plugin waits for those who read it, and makes it read-only if it can't wait any longer.
        """
        status = os.fstat(self.descriptor)
        return status.st_nlink == 0 and bool(status.st_mode & stat.S_IWUSR)

    def written_at(self) -> int:
        return os.fstat(self.descriptor).st_mtime_ns

    def start_of_last(self, lines: int) -> int:
        """Where the last so many lines begin; one that has no end yet counts."""
        end = position = os.fstat(self.descriptor).st_size
        if lines == 0:
            return self._behind_last_line(end)
        wanted = lines + (end > 0 and os.pread(self.descriptor, 1, end - 1) == b"\n")
        while position > 0 and end - position < _MOST_BYTES_AT_START:
            start = max(position - _BLOCK_BYTES, 0)
            block = os.pread(self.descriptor, position - start, start)
            if (count := block.count(b"\n")) >= wanted:
                return start + _nth_break_from_end(block, wanted) + 1
            wanted -= count
            position = start
        return position

    def _behind_last_line(self, end: int) -> int:
        """What has no end yet will be a new line: it is told as a whole."""
        start = max(end - _MOST_BYTES_AT_START, 0)
        while end > start:
            begin = max(end - _BLOCK_BYTES, start)
            behind = os.pread(self.descriptor, end - begin, begin).rfind(b"\n") + 1
            if behind:
                return begin + behind
            end = begin
        return start


def key_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def status_of(path: str) -> os.stat_result | None:
    """What is at a path; None if nothing is."""
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def newest(path: str, user: str) -> LogFile | None:
    """The file at the path."""
    files, _ = open_files(path, user, lambda file: True, backups=0)
    return files[0] if files else None


def open_files(
    path: str, user: str, wanted: Callable[[LogFile], bool], *, backups: int = _MOST_BACKUPS
) -> tuple[list[LogFile], bool]:
    """The wanted file and all after it, oldest first, and True; all there are and False if it isn't there."""
    files, found = _collect(path, user, wanted, backups)
    for _ in range(_ATTEMPTS):
        if not _rotated_since(path, files):
            break
        # Which name is whose has changed meanwhile. What is open holds up the next change.
        with contextlib.ExitStack() as held:
            held.callback(close_all, files)
            files, found = _collect(path, user, wanted, backups)
    return files, found


def _rotated_since(path: str, files: list[LogFile]) -> bool:
    status = status_of(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return False
    return not files or files[-1].key != key_of(status)


def close_all(files: list[LogFile]) -> None:
    for file in files:
        file.close()


def _collect(
    path: str, user: str, wanted: Callable[[LogFile], bool], backups: int
) -> tuple[list[LogFile], bool]:
    files: list[LogFile] = []
    found, absent = False, 0
    with contextlib.ExitStack() as undo:
        undo.callback(close_all, files)
        for number in range(backups + 1):
            file = LogFile.open(f"{path}.{number}" if number else path, user)
            if file is None:
                absent += 1
                if absent > _MOST_ABSENT:
                    break
            elif files and file.key == files[0].key:
                file.close()  # it has got the next name meanwhile
            else:
                absent = 0
                files.insert(0, file)
                if found := wanted(file):
                    break
        undo.pop_all()
    return files, found


def _nth_break_from_end(block: bytes, number: int) -> int:
    place = len(block)
    for _ in range(number):
        place = block.rfind(b"\n", 0, place)
    return place


def _generation_of(descriptor: int) -> int:
    """How often the inode has been given away, or so; 0 where the file system doesn't tell."""
    generation = bytearray(8)
    try:
        fcntl.ioctl(descriptor, _GET_GENERATION, generation)
    except OSError:
        return 0
    return int.from_bytes(generation[:4], "little")
