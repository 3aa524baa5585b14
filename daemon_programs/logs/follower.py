"""Reads a log on as it is written: each line once and in order, over rotations and truncations.

A follower holds the file that it reads, and those that have come after it, so nothing is lost that is
rotated away meanwhile. A file is left only when it is read to its end, after the next was seen.
"""

import os
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from daemon_programs.exceptions import Refused
from daemon_programs.logs import rotated
from daemon_programs.logs.cursor import BEGINNING, SEEN_BYTES, Cursor
from daemon_programs.logs.rotated import LogFile
from daemon_programs.streams.watcher import Watch, Watcher

_BLOCK_BYTES = 64 * 1024
_LONGEST_LINE = 1024 * 1024
# At a turn so much is told, that others come to theirs soon.
_LINES_PER_TURN = 200
_BYTES_PER_TURN = 64 * 1024
# Of those that are waiting to be read, so many are held; who reads that slowly may miss some.
_MOST_FILES = 8


class Line(NamedTuple):
    text: str
    offset: int  # right behind it
    cursor: Cursor | None


class Opened(NamedTuple):
    """The log is there, or not yet; reading begins at ``offset``."""

    exists: bool
    offset: int
    cursor: Cursor | None


class Reset(NamedTuple):
    """Reading goes on in another file (``rotated``), or in one that was emptied (``truncated``)."""

    reason: str
    missed: bool  # whether lines may be missing
    cursor: Cursor | None


class Problem(NamedTuple):
    sentence: str


News = Line | Opened | Reset | Problem


class Follower:
    """The place in a log up to which it has been told."""

    def __init__(self, path: str, user: str) -> None:
        self.path = path
        self._user = user  # whose log it is
        self._files: deque[LogFile] = deque()  # being read, and what has come after it
        self._reaches_newest = True  # the last of them was the newest when it was opened
        self._news: list[News] = []
        self._problems: set[str] = set()  # that are told
        # What is read of the first file and not told yet, behind some bytes that are.
        self._raw = b""
        self._base = 0  # the offset of its first byte in the file
        self._told = 0  # from here on in it nothing is told
        self._searched = 0
        self._carried = b""  # the beginning of a line that goes on in the first file
        self._watcher: Watcher | None = None
        self._wake: Callable[[], None] = lambda: None
        self._file_watch: Watch | None = None
        self._watched_key: tuple[int, int] | None = None
        self._folder_watch: Watch | None = None
        self._folder_changed = True

    # Beginning

    def open(self, lines: int, cursor: Cursor | None) -> None:
        """Find where to begin: behind ``cursor``, or that many lines before the end."""
        try:
            if cursor is None:
                self._open_newest(lines)
            else:
                self._open_at(cursor)
        except (OSError, Refused) as problem:
            self._note("read", problem)
        if not any(isinstance(each, Opened) for each in self._news):
            exists = Path(self.path).exists()
            self._news.insert(0, Opened(exists, 0, None if exists else BEGINNING))

    def _open_newest(self, lines: int) -> None:
        newest = rotated.newest(self.path, self._user)
        if newest is not None:
            self._files.append(newest)
            self._begin_at(newest.start_of_last(lines))
            self._news.append(self._opened())

    def _open_at(self, cursor: Cursor) -> None:
        files, found = rotated.open_files(self.path, self._user, lambda file: file.has(cursor))
        self._take(files)
        if not self._files:
            if cursor != BEGINNING:
                self._news.append(Reset("rotated", True, BEGINNING))
            return
        self._begin_at(cursor.offset if found else 0)
        self._news.append(self._opened())
        # Of a log that did not exist, all there is now is new.
        if not found and (cursor != BEGINNING or len(files) > 1):
            same = files[-1].key[1] == cursor.inode and files[-1].generation == cursor.generation
            self._news.append(Reset("truncated" if same else "rotated", True, self._cursor(0)))

    def _opened(self) -> Opened:
        return Opened(True, self._base + self._told, self._cursor(self._told))

    def _begin_at(self, offset: int) -> None:
        """Read on from here; what comes right before it is kept in mind, to recognize it."""
        length = min(SEEN_BYTES, offset)
        self._raw = os.pread(self._files[0].descriptor, length, offset - length) if length else b""
        self._base = offset - len(self._raw)
        self._told = self._searched = len(self._raw)

    def watch(self, watcher: Watcher, wake: Callable[[], None]) -> None:
        """From now on ``wake`` is called whenever there may be something to tell."""
        self._watcher = watcher
        self._wake = wake

    def look_again(self) -> None:
        """Take nothing for granted: a folder may have been moved away high above."""
        self._folder_changed = True

    def close(self) -> None:
        self._forget(self._file_watch)
        self._forget(self._folder_watch)
        rotated.close_all(list(self._files))
        self._files.clear()

    # Reading

    def turn(self) -> list[News]:
        """What is to be told next, a part at a time; nothing if there is nothing at the moment."""
        try:
            self._read()
        except (OSError, Refused) as problem:
            self._note("read", problem)
        news, self._news = self._news, []
        return news

    def rest(self) -> list[News]:
        """The line that has no end, when none will come."""
        self._tell_unfinished()
        news, self._news = self._news, []
        return news

    def _read(self) -> None:
        while not self._news:
            self._take_lines()
            if self._news:
                return
            self._watch_folder()
            self._look_for_newer()
            if not self._files or not (self._read_block() or self._go_on_to_next()):
                return

    def _take_lines(self) -> None:
        size = 0
        while len(self._news) < _LINES_PER_TURN and size < _BYTES_PER_TURN:
            end = self._raw.find(b"\n", self._searched) + 1
            if end == 0:
                self._searched = len(self._raw)
                if len(self._carried) + len(self._raw) - self._told >= _LONGEST_LINE:
                    self._tell(_whole_characters(self._raw))
                return
            size += end - self._told
            self._tell(end)

    def _tell(self, end: int) -> None:
        """Tell what is in ``raw`` up to here as a line."""
        line = self._raw[self._told : end]
        if self._carried:
            line, self._carried = self._carried + line, b""
        self._told = self._searched = end
        text = line.removesuffix(b"\n").decode(errors="replace").removesuffix("\r")
        self._news.append(Line(text, self._base + end, self._cursor(end)))

    def _tell_unfinished(self) -> None:
        if self._carried or self._told < len(self._raw):
            self._tell(len(self._raw))

    def _cursor(self, end: int) -> Cursor:
        return self._files[0].cursor(self._base + end, self._raw[max(end - SEEN_BYTES, 0) : end])

    def _read_block(self) -> bool:
        """Read on in the first file; whether there was something."""
        begin = max(self._told - SEEN_BYTES, 0)
        if begin:
            self._raw = self._raw[begin:]
            self._base += begin
            self._told -= begin
            self._searched -= begin
        seen = self._raw[-SEEN_BYTES:]
        position = self._base + len(self._raw)
        block = os.pread(self._files[0].descriptor, len(seen) + _BLOCK_BYTES, position - len(seen))
        if not block.startswith(seen):
            self._start_over()
            return True
        if len(block) == len(seen):
            return False
        self._raw += block[len(seen) :]
        self._problems.clear()
        return True

    def _start_over(self) -> None:
        """Somebody has emptied the file in its place."""
        self._tell_unfinished()
        # What has gone can't be found again.
        self._news = [each._replace(cursor=None) if isinstance(each, Line) else each for each in self._news]
        self._begin_at(0)
        self._news.append(Reset("truncated", True, self._cursor(0)))

    def _go_on_to_next(self) -> bool:
        """Leave a file that is read to its end, if there is another; whether there is."""
        if len(self._files) == 1:
            return False
        following = self._files[1]
        if following.missed_before:
            self._tell_unfinished()
        self._carried += self._raw[self._told :]
        self._files.popleft().close()
        self._begin_at(0)
        # Who began here would have half a line.
        cursor = None if self._carried else self._cursor(0)
        self._news.append(Reset("rotated", following.missed_before, cursor))
        return True

    # The files

    def _look_for_newer(self) -> None:
        """Open what has come after the newest file that is known."""
        status = rotated.status_of(self.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return
        if not self._files:
            self._open_first()
        elif rotated.key_of(status) != self._files[-1].key and len(self._files) < _MOST_FILES:
            self._open_newer(self._files[-1])
        self._watch_newest()

    def _open_first(self) -> None:
        newest = rotated.newest(self.path, self._user)
        if newest is not None:
            self._files.append(newest)
            self._begin_at(0)
            self._news.append(self._opened())

    def _open_newer(self, known: LogFile) -> None:
        files, found = rotated.open_files(self.path, self._user, lambda file: file.key == known.key)
        if found:
            files.pop(0).close()  # it is open already
        else:
            files = _not_before(known, files)
            if files:
                files[0].missed_before = not (self._reaches_newest and known.is_followed_by_next())
        self._take(files)

    def _take(self, files: list[LogFile]) -> None:
        """Hold some more files, the oldest of them if they are too many."""
        room = _MOST_FILES - len(self._files)
        self._files.extend(files[:room])
        rotated.close_all(files[room:])
        self._reaches_newest = len(files) <= room

    # Being told

    def _watch_newest(self) -> None:
        if self._watcher is None or not self._files:
            return
        newest = self._files[-1]
        if self._watched_key != newest.key:
            self._forget(self._file_watch)
            self._file_watch = None
            self._watched_key = newest.key
            try:
                self._file_watch = self._watcher.file(newest.descriptor, self._wake)
            except OSError as problem:
                self._note("watched", problem)

    def _watch_folder(self) -> None:
        """Watch the log's folder, or the nearest above it that there is, for the next on the way."""
        while self._folder_changed and self._watcher is not None:
            self._forget(self._folder_watch)
            self._folder_watch = None
            next_one = Path(self.path)
            while not next_one.parent.is_dir():
                next_one = next_one.parent
            folder, name = str(next_one.parent), next_one.name
            try:
                self._folder_watch = self._watcher.name(folder, name, self._change_of_folder)
            except FileNotFoundError:
                continue
            except OSError as problem:
                self._note("watched", problem)
            # What is next on the way may have come between the look and the watch.
            self._folder_changed = next_one != Path(self.path) and next_one.is_dir()

    def _change_of_folder(self) -> None:
        self._folder_changed = True
        self._wake()

    def _forget(self, watch: Watch | None) -> None:
        if self._watcher is not None and watch is not None:
            self._watcher.forget(watch)

    def _note(self, what: str, problem: OSError | Refused) -> None:
        """Tell what can't be done, once for as long as it stays the same."""
        if isinstance(problem, Refused):
            sentence = str(problem)
        else:
            sentence = f"The log can't be {what}: {(problem.strerror or str(problem)).lower()}"
        if sentence not in self._problems:
            self._problems.add(sentence)
            self._news.append(Problem(sentence))


def _not_before(known: LogFile, files: list[LogFile]) -> list[LogFile]:
    """Without those that were written before a file that is no more among them."""
    written_at = known.written_at()
    newer = [file for file in files if file is files[-1] or file.written_at() >= written_at]
    rotated.close_all([file for file in files if file not in newer])
    return newer


def _whole_characters(raw: bytes) -> int:
    """The length of it without the beginning of a character whose rest is still to come."""
    for length in range(1, min(4, len(raw)) + 1):
        byte = raw[-length]
        if byte >= 0xC0:
            needed = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(raw) - length if needed > length else len(raw)
        if byte < 0x80:
            break
    return len(raw)
