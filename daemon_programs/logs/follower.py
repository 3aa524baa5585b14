"""Follow a log while it is written: each line once and in order, across rotations and truncations.

A follower keeps the file that it reads open, and the newer ones too, so it loses nothing when they are
rotated away. It leaves a file only when it has read it to its end after the next file has appeared.
"""

import os
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from daemon_programs.exceptions import DaemonError
from daemon_programs.logs import rotated
from daemon_programs.logs.cursor import BEGINNING, SEEN_BYTES, Cursor
from daemon_programs.logs.rotated import LogFile
from daemon_programs.streams.watcher import Watch, Watcher

_BLOCK_BYTES = 64 * 1024
MAX_LINE_BYTES = 1024 * 1024  # longer lines are reported in pieces
# What is returned at a time, so that other streams get their turn soon.
_LINES_PER_TURN = 200
_BYTES_PER_TURN = 64 * 1024
_MAX_FILES = 8  # open at a time; a slower reader may miss lines


class Line(NamedTuple):
    """A line of the log."""

    text: str
    offset: int  # of the end of the line
    cursor: Cursor | None


class Opened(NamedTuple):
    """The log exists, or does not yet; reading starts at ``offset``."""

    exists: bool
    offset: int
    cursor: Cursor | None


class Reset(NamedTuple):
    """Reading continues in another file (``rotated``), or in one that was emptied (``truncated``)."""

    reason: str
    missed: bool  # whether lines may be missing
    cursor: Cursor | None


class Problem(NamedTuple):
    """The log can't be read or watched."""

    sentence: str


LogEvent = Line | Opened | Reset | Problem


class Follower:
    """A reader of one log, with the position up to which it has reported the log's lines."""

    def __init__(self, path: str, user: str) -> None:
        self.path = path
        self._user = user  # the system user that the log belongs to
        self._files: deque[LogFile] = deque()  # the one that is read, and those after it
        self._reaches_newest = True  # whether the last of the files was the newest when it was opened
        self._events: list[LogEvent] = []
        self._problems: set[str] = set()  # those that were reported
        # The part of the first file that is not reported yet, after up to SEEN_BYTES that are.
        self._buffer = b""
        self._buffer_offset = 0  # in the file
        self._reported = 0  # how much of the buffer is reported
        self._searched = 0  # how much of it is known to have no line break
        self._line_start = b""  # the part of an unfinished line that the previous file ended with
        self._watcher: Watcher | None = None
        self._wake: Callable[[], None] = lambda: None
        self._file_watch: Watch | None = None
        self._watched_key: tuple[int, int] | None = None
        self._folder_watch: Watch | None = None
        self._folder_changed = True

    # Start

    def open(self, lines: int, cursor: Cursor | None) -> None:
        """Find the position to start from: ``cursor``, or else so many lines before the end."""
        try:
            if cursor is None:
                self._open_newest(lines)
            else:
                self._open_at(cursor)
        except (OSError, DaemonError) as problem:
            self._report_problem("read", problem)
        if not any(isinstance(event, Opened) for event in self._events):
            exists = self._exists()
            self._events.insert(0, Opened(exists, 0, None if exists else BEGINNING))

    def _exists(self) -> bool:
        try:
            return Path(self.path).exists()
        except OSError:  # the path can't be looked up
            return False

    def _open_newest(self, lines: int) -> None:
        newest = rotated.newest(self.path, self._user)
        if newest is not None:
            self._files.append(newest)
            self._start_at(newest.start_of_last(lines))
            self._events.append(self._opened())

    def _open_at(self, cursor: Cursor) -> None:
        files, found = rotated.open_files(self.path, self._user, lambda file: file.has(cursor))
        self._keep(files)
        if not self._files:
            if cursor != BEGINNING:
                self._events.append(Reset("rotated", True, BEGINNING))
            return
        self._start_at(cursor.offset if found else 0)
        self._events.append(self._opened())
        # If the log did not exist at the cursor, its first file is complete and nothing was missed.
        if not found and (cursor != BEGINNING or len(files) > 1):
            is_same = files[-1].key[1] == cursor.inode and files[-1].generation == cursor.generation
            self._events.append(Reset("truncated" if is_same else "rotated", True, self._cursor(0)))

    def _opened(self) -> Opened:
        return Opened(True, self._buffer_offset + self._reported, self._cursor(self._reported))

    def _start_at(self, offset: int) -> None:
        """Continue at an offset of the first file; buffer the bytes before it, by which to recognize it."""
        length = min(SEEN_BYTES, offset)
        self._buffer = os.pread(self._files[0].descriptor, length, offset - length) if length else b""
        self._buffer_offset = offset - len(self._buffer)
        self._reported = self._searched = len(self._buffer)

    def watch(self, watcher: Watcher, wake: Callable[[], None]) -> None:
        """Have ``wake`` called from now on whenever there may be new events."""
        self._watcher = watcher
        self._wake = wake

    def refresh(self) -> None:
        """Look at the folder again: no watch reports that a folder further up was moved."""
        self._folder_changed = True

    def close(self) -> None:
        """Close the files and remove the watches."""
        self._remove_watch(self._file_watch)
        self._remove_watch(self._folder_watch)
        rotated.close_all(list(self._files))
        self._files.clear()

    # Reading

    def next_events(self) -> list[LogEvent]:
        """Return the next part of what is new; nothing if nothing is at the moment."""
        try:
            self._read()
        except (OSError, DaemonError) as problem:
            self._report_problem("read", problem)
        events, self._events = self._events, []
        return events

    def last_events(self) -> list[LogEvent]:
        """Return the unfinished last line of a log that is not written any more."""
        self._report_unfinished_line()
        events, self._events = self._events, []
        return events

    def _read(self) -> None:
        while not self._events:
            self._report_lines()
            if self._events:
                return
            self._watch_folder()
            self._open_newer_files()
            if not self._files or not (self._read_block() or self._continue_in_next_file()):
                return

    def _report_lines(self) -> None:
        size = 0
        while len(self._events) < _LINES_PER_TURN and size < _BYTES_PER_TURN:
            end = self._buffer.find(b"\n", self._searched) + 1
            if end == 0:
                self._searched = len(self._buffer)
                if len(self._line_start) + len(self._buffer) - self._reported >= MAX_LINE_BYTES:
                    self._report_line(_length_of_whole_characters(self._buffer))
                return
            size += end - self._reported
            self._report_line(end)

    def _report_line(self, end: int) -> None:
        """Report what is in the buffer up to ``end`` as a line."""
        line = self._buffer[self._reported : end]
        if self._line_start:
            line, self._line_start = self._line_start + line, b""
        self._reported = self._searched = end
        text = line.removesuffix(b"\n").decode(errors="replace").removesuffix("\r")
        self._events.append(Line(text, self._buffer_offset + end, self._cursor(end)))

    def _report_unfinished_line(self) -> None:
        if self._line_start or self._reported < len(self._buffer):
            self._report_line(len(self._buffer))

    def _cursor(self, end: int) -> Cursor:
        seen = self._buffer[max(end - SEEN_BYTES, 0) : end]
        return self._files[0].cursor(self._buffer_offset + end, seen)

    def _read_block(self) -> bool:
        """Read more of the first file; return whether there was something."""
        surplus = max(self._reported - SEEN_BYTES, 0)
        if surplus:
            self._buffer = self._buffer[surplus:]
            self._buffer_offset += surplus
            self._reported -= surplus
            self._searched -= surplus
        seen = self._buffer[-SEEN_BYTES:]
        position = self._buffer_offset + len(self._buffer)
        block = os.pread(self._files[0].descriptor, len(seen) + _BLOCK_BYTES, position - len(seen))
        if not block.startswith(seen):
            self._start_over()
            return True
        if len(block) == len(seen):
            return False
        self._buffer += block[len(seen) :]
        self._problems.clear()
        return True

    def _start_over(self) -> None:
        """Start again with a file that was emptied in place."""
        self._report_unfinished_line()
        # The content before is gone, so no cursor into it can be resumed.
        self._events = [
            event._replace(cursor=None) if isinstance(event, Line) else event for event in self._events
        ]
        self._start_at(0)
        self._events.append(Reset("truncated", True, self._cursor(0)))

    def _continue_in_next_file(self) -> bool:
        """Leave a file that is read to its end, if there is a newer one; return whether there is."""
        if len(self._files) == 1:
            return False
        following = self._files[1]
        if following.missed_before:
            self._report_unfinished_line()
        self._line_start += self._buffer[self._reported :]
        self._files.popleft().close()
        self._start_at(0)
        # A client that resumed here would get only the second half of an unfinished line.
        cursor = None if self._line_start else self._cursor(0)
        self._events.append(Reset("rotated", following.missed_before, cursor))
        return True

    # Files

    def _open_newer_files(self) -> None:
        """Open the files that have appeared since the last of those that are open."""
        status = rotated.status_of(self.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return
        if not self._files:
            self._open_first()
        elif rotated.key_of(status) != self._files[-1].key and len(self._files) < _MAX_FILES:
            self._open_after(self._files[-1])
        self._watch_newest()

    def _open_first(self) -> None:
        newest = rotated.newest(self.path, self._user)
        if newest is not None:
            self._files.append(newest)
            self._start_at(0)
            self._events.append(self._opened())

    def _open_after(self, known: LogFile) -> None:
        files, found = rotated.open_files(self.path, self._user, lambda file: file.key == known.key)
        if found:
            files.pop(0).close()  # it is open already
        else:
            files = _not_older(files, known)
            if files:
                files[0].missed_before = not (self._reaches_newest and known.is_followed_by_newest())
        self._keep(files)

    def _keep(self, files: list[LogFile]) -> None:
        """Add files to those that are open; if they are too many, close the newest of them."""
        room = _MAX_FILES - len(self._files)
        self._files.extend(files[:room])
        rotated.close_all(files[room:])
        self._reaches_newest = len(files) <= room

    # Watches

    def _watch_newest(self) -> None:
        if self._watcher is None or not self._files:
            return
        newest = self._files[-1]
        if self._watched_key != newest.key:
            self._remove_watch(self._file_watch)
            self._file_watch = None
            self._watched_key = newest.key
            try:
                self._file_watch = self._watcher.watch_file(newest.descriptor, self._wake)
            except OSError as problem:
                self._report_problem("watched", problem)

    def _watch_folder(self) -> None:
        """Watch the log's folder for the log, or its nearest existing ancestor for the next folder."""
        while self._folder_changed and self._watcher is not None:
            self._remove_watch(self._folder_watch)
            self._folder_watch = None
            awaited = Path(self.path)
            while not awaited.parent.is_dir():
                awaited = awaited.parent
            folder, name = str(awaited.parent), awaited.name
            try:
                self._folder_watch = self._watcher.watch_name(folder, name, self._on_folder_change)
            except FileNotFoundError:
                continue
            except OSError as problem:
                self._report_problem("watched", problem)
            # The next folder may have been created before the watch was added.
            self._folder_changed = awaited != Path(self.path) and awaited.is_dir()

    def _on_folder_change(self) -> None:
        self._folder_changed = True
        self._wake()

    def _remove_watch(self, watch: Watch | None) -> None:
        if self._watcher is not None and watch is not None:
            self._watcher.remove(watch)

    def _report_problem(self, what: str, problem: OSError | DaemonError) -> None:
        """Report what can't be done, but not again until something could be read."""
        if isinstance(problem, DaemonError):
            sentence = str(problem)
        else:
            sentence = f"The log '{self.path}' can't be {what}: {(problem.strerror or str(problem)).lower()}"
        if sentence not in self._problems:
            self._problems.add(sentence)
            self._events.append(Problem(sentence))


def _not_older(files: list[LogFile], known: LogFile) -> list[LogFile]:
    """Return the files without those last written before ``known``, which is not among them."""
    written_at = known.written_at()
    newer = [file for file in files if file is files[-1] or file.written_at() >= written_at]
    rotated.close_all([file for file in files if file not in newer])
    return newer


def _length_of_whole_characters(raw: bytes) -> int:
    """Return the length of some UTF-8 without an incomplete character at its end."""
    for length in range(1, min(4, len(raw)) + 1):
        byte = raw[-length]
        if byte >= 0xC0:
            needed = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(raw) - length if needed > length else len(raw)
        if byte < 0x80:
            break
    return len(raw)
