"""Open the files of a log: the one at its path, and those that it was rotated to, ``.1``, ``.2``…"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

from daemon_programs.logs.cursor import SEEN_BYTES, Cursor, checksum
from daemon_programs.logs.tail import open_log

_MAX_BACKUPS = 100  # `rules.LOG_BACKUPS`
_MAX_ABSENT = 1  # consecutive names: while a rotation renames files, one of the names is missing
_ATTEMPTS = 10
_BLOCK_BYTES = 64 * 1024
_MAX_BYTES_AT_START = 16 * 1024 * 1024  # as in `logs.tail`
_GET_GENERATION = 0x80087601  # FS_IOC_GETVERSION


class LogFile:
    """An open file of a log; while it is open, the plugin does not rotate the file after it away."""

    def __init__(self, descriptor: int, status: os.stat_result) -> None:
        self.descriptor = descriptor
        self.key = key_of(status)
        self.generation = _generation_of(descriptor)
        self.missed_before = False  # whether lines between the previous file and this one may be missing

    @classmethod
    def open(cls, path: str, user: str) -> "LogFile | None":
        """Open a log of ``user``; return None if it is missing, or can't be read twice (a FIFO, a device)."""
        status = status_of(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None  # opening a FIFO would make its writer believe that it has a reader
        descriptor = open_log(path, user)
        if descriptor is None:
            return None
        # Fails on a file system without locks, and while the plugin checks whether the file is read.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return cls(descriptor, os.fstat(descriptor))

    def close(self) -> None:
        """Close the file, which also releases its lock."""
        os.close(self.descriptor)

    def cursor(self, offset: int, seen: bytes) -> Cursor:
        """Return the cursor of an offset; ``seen`` are the bytes before it, at most SEEN_BYTES."""
        return Cursor(self.key[1], self.generation, offset, checksum(seen))

    def has(self, cursor: Cursor) -> bool:
        """Return whether a cursor is a position in this file."""
        if (self.key[1], self.generation) != (cursor.inode, cursor.generation):
            return False
        length = min(SEEN_BYTES, cursor.offset)
        seen = os.pread(self.descriptor, length, cursor.offset - length)
        return len(seen) == length and checksum(seen) == cursor.seen

    def is_followed_by_newest(self) -> bool:
        """Return whether this file, which was removed, was the last one before the file at the path.

        While this file is read, the plugin does not rotate the file after it. If it can't wait any longer,
        it makes this one read-only.
        """
        status = os.fstat(self.descriptor)
        return status.st_nlink == 0 and bool(status.st_mode & stat.S_IWUSR)

    def written_at(self) -> int:
        """Return the time of the last write, in nanoseconds."""
        return os.fstat(self.descriptor).st_mtime_ns

    def start_of_last(self, lines: int) -> int:
        """Return the offset of the last ``lines`` lines; an unfinished line counts as one."""
        end = position = os.fstat(self.descriptor).st_size
        if lines == 0:
            return self._end_of_last_line(end)
        wanted = lines + (end > 0 and os.pread(self.descriptor, 1, end - 1) == b"\n")
        while position > 0 and end - position < _MAX_BYTES_AT_START:
            start = max(position - _BLOCK_BYTES, 0)
            block = os.pread(self.descriptor, position - start, start)
            if (count := block.count(b"\n")) >= wanted:
                return start + _nth_break_from_end(block, wanted) + 1
            wanted -= count
            position = start
        return position

    def _end_of_last_line(self, end: int) -> int:
        """Return where the last finished line ends: an unfinished one is sent later, as a whole."""
        limit = max(end - _MAX_BYTES_AT_START, 0)
        while end > limit:
            start = max(end - _BLOCK_BYTES, limit)
            line_end = os.pread(self.descriptor, end - start, start).rfind(b"\n") + 1
            if line_end:
                return start + line_end
            end = start
        return limit


def key_of(status: os.stat_result) -> tuple[int, int]:
    """Return the device and the inode, which identify a file while it is open."""
    return status.st_dev, status.st_ino


def status_of(path: str) -> os.stat_result | None:
    """Return the status of what is at a path; None if nothing is."""
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def newest(path: str, user: str) -> LogFile | None:
    """Open the file at the path; return None if there is none."""
    files, _ = open_files(path, user, lambda file: True, backups=0)
    return files[0] if files else None


def open_files(
    path: str, user: str, wanted: Callable[[LogFile], bool], *, backups: int = _MAX_BACKUPS
) -> tuple[list[LogFile], bool]:
    """Open the wanted file and all newer ones; return them, oldest first, and whether it was found.

    If it was not found, all files of the log are returned.
    """
    files, found = _collect(path, user, wanted, backups)
    for _ in range(_ATTEMPTS):
        if not _rotated_since(path, files):
            break
        # A rotation has renamed files in between. Those that are open now delay the next one.
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
    """Close some files."""
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
                if absent > _MAX_ABSENT:
                    break
            elif files and file.key == files[0].key:
                file.close()  # a rotation has just renamed it, so it was seen under two names
            else:
                absent = 0
                files.insert(0, file)
                if found := wanted(file):
                    break
        undo.pop_all()
    return files, found


def _nth_break_from_end(block: bytes, number: int) -> int:
    position = len(block)
    for _ in range(number):
        position = block.rfind(b"\n", 0, position)
    return position


def _generation_of(descriptor: int) -> int:
    """Return a number that differs between the files of one inode; 0 if the file system has none."""
    generation = bytearray(8)
    try:
        fcntl.ioctl(descriptor, _GET_GENERATION, generation)
    except OSError:
        return 0
    return int.from_bytes(generation[:4], "little")
