"""Read the newest lines of several logs in the order of their times, rotated files included.

A line without a time is placed right after the line before it in its file. A file without any times is placed
where it was last written: its lines can't be told apart in time, and stay together. They would take the room
of all others, so each log has only a share of the lines for such files.

A longer line than those that streams send is read in pieces, as there: a log of one endless line would take
several times the memory of what is read of it. Of many long lines only those are kept that have room.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from daemon_programs.exceptions import DaemonError, Refused
from daemon_programs.logs import rotated
from daemon_programs.logs.chosen import ProgramLog
from daemon_programs.logs.cursor import Cursor
from daemon_programs.logs.earlier import last_lines
from daemon_programs.logs.follower import MAX_LINE_BYTES
from daemon_programs.logs.rotated import LogFile
from daemon_programs.logs.tail import MAX_JSON_BYTES, end_of, json_bytes
from daemon_programs.logs.wanted import Wanted, split_time
from daemon_programs.timestamps import milliseconds

MAX_LOGS = 2000
# What is read for one request: of each log its share, and what the logs before it have left over.
_MAX_BYTES = 32 * 1024 * 1024
_LEAST_BYTES = 64 * 1024
_BYTES_BESIDE = 120  # of a line in JSON beside its text and the name of its program: keys, numbers, the time
# How many lines of a log are read at a time: few first, since most logs have nothing else that is wanted.
_FIRST_LINES = 100
_MOST_LINES = 2000
_UNSORTED = 4  # times as many lines as are wanted, or have room, are collected before they are sorted


class Merged(NamedTuple):
    """Lines of several logs, oldest first."""

    lines: list[dict[str, Any]]
    problems: list[dict[str, Any]]  # logs that can't be read, each with the reason
    is_truncated: bool  # not all that was asked for could be read, or had room


class _Line(NamedTuple):
    """A line with what orders it: where it is placed, its log, and its place in the log."""

    placed_at: str
    log: int
    number: int
    time: str | None
    text: str


def check_number(logs: Sequence[ProgramLog], most: int) -> None:
    """Raise Refused if these are more logs than are read together."""
    if len(logs) > most:
        raise Refused(f"These are {len(logs)} logs, and at most {most} are read together: select fewer")


def read(
    logs: Sequence[ProgramLog],
    wanted: Wanted,
    lines: int,
    *,
    before: Mapping[ProgramLog, Cursor] | None = None,
    max_json_bytes: int = MAX_JSON_BYTES,
) -> Merged:
    """Return the newest ``lines`` that are wanted, or the newest of them that have room in JSON.

    With ``before``, each log is only read up to its position in there.
    """
    if not lines:
        return Merged([], [], False)
    found: list[_Line] = []
    size = 0  # of what was found
    cut_at: list[str] = []  # up to where logs were read that could not be read far enough
    problems = []
    room = _MAX_BYTES
    oldest = ""  # what is older than so many lines is not wanted any more
    unshared = lines
    is_short = False
    # Small ones first: what they leave of their shares is for the others.
    for left, number in zip(itertools.count(len(logs), -1), sorted(range(len(logs)), key=_sizes(logs))):
        log = logs[number]
        share = max(unshared // left, 1)
        reader = _Reader(number, wanted, lines, share, max(wanted.since, oldest), max_json_bytes)
        try:
            reader.read(log, max(room // left, _LEAST_BYTES), None if before is None else before[log])
        except (OSError, DaemonError) as problem:
            problems.append({**log.about, "error": _sentence(log, problem)})
        room -= reader.bytes_read
        unshared -= min(share, len(reader.found))
        is_short |= reader.is_short
        found += reader.found
        size += reader.size
        if len(found) >= _UNSORTED * lines or size >= _UNSORTED * max_json_bytes:
            found, size = _newest(found, lines, max_json_bytes)
            oldest = found[0].placed_at
        if reader.cut_at is not None and reader.cut_at >= wanted.since:
            cut_at.append(reader.cut_at)
    found = sorted(found)[-lines:]
    is_cut = any(len(found) < lines or time > found[0].placed_at for time in cut_at)
    is_cut |= is_short and len(found) < lines
    fitting, is_whole = _newest_that_fit(logs, found, max_json_bytes)
    return Merged(fitting, problems, is_cut or not is_whole)


class _Reader:
    """Reads one log back from its end, and keeps what is wanted, newest first."""

    def __init__(self, log: int, wanted: Wanted, lines: int, share: int, lower: str, most_bytes: int) -> None:
        self._log = log
        self._wanted = wanted
        self._lines = lines
        self._share = share  # of these lines, for files without times
        self._lower = lower  # the earliest time that is still wanted
        self._most_bytes = most_bytes  # of lines; one more is kept, which tells that not all have room
        self._numbers = itertools.count(0, -1)
        self._untimed: list[str] = []  # lines whose place is that of a line that is not read yet
        self._first_time: str | None = None  # the first time in the file, of what is read
        self._has_older = False  # whether there may be files that are too much to read
        self.found: list[_Line] = []
        self.size = 0  # of these and the untimed ones
        self.bytes_read = 0
        self.cut_at: str | None = None  # where reading stopped for lack of room
        self.is_short = False  # whether there may be more lines than its share

    def read(self, log: ProgramLog, room: int, before: Cursor | None) -> None:
        """Read at most ``room`` bytes, and stop as soon as nothing older is wanted."""
        files = self._open(log, room, before)
        try:
            for file in reversed(files):
                end = os.fstat(file.descriptor).st_size
                if before is not None and file is files[-1]:
                    end = before.offset
                if self._begins_too_late(file):
                    continue
                if not self._read_file(file, end, room):
                    return
            if self._has_older and files:
                self.cut_at = self._first_time or _written_at(files[0])
        finally:
            rotated.close_all(files)

    def _open(self, log: ProgramLog, room: int, before: Cursor | None) -> list[LogFile]:
        """Open the files that may have what is wanted, oldest first; the last one has ``before``."""
        size = 0
        is_reached = before is None

        def is_last(file: LogFile) -> bool:
            nonlocal size, is_reached
            is_reached = is_reached or (before is not None and file.has(before))
            if is_reached and not self._begins_too_late(file):
                size += os.fstat(file.descriptor).st_size
            return is_reached and (size >= room or _written_at(file) < self._lower)

        files, _ = rotated.open_files(log.path, log.user, is_last)
        self._has_older = size >= room
        if before is not None:
            while files and not files[-1].has(before):
                files.pop().close()
        return files

    def _begins_too_late(self, file: LogFile) -> bool:
        if self._wanted.until == Wanted().until:
            return False
        time, _ = split_time(os.pread(file.descriptor, 64, 0).decode(errors="replace"))
        return time is not None and time > self._wanted.until

    def _read_file(self, file: LogFile, end: int, room: int) -> bool:
        """Read a file back from an offset; return whether an older file may have something wanted too."""
        written_at = _written_at(file)
        if written_at < self._lower:
            return False  # all its lines are older
        self._first_time = None
        at_a_time = _FIRST_LINES
        goes_on = True
        while end > 0 and goes_on:
            if self.bytes_read >= room:
                self.cut_at = self._first_time or written_at
                goes_on = False
                break
            begin, lines = last_lines(file, end, at_a_time, min(room - self.bytes_read, MAX_LINE_BYTES))
            at_a_time = min(4 * at_a_time, _MOST_LINES)
            self.bytes_read += end - begin
            end = begin
            goes_on = self._take(lines)
            if self._first_time is None and (len(self._untimed) >= self._share or self._is_full):
                goes_on = False  # as many as are wanted, placed at the end of the file
        if self._first_time is None:
            self.is_short |= len(self._untimed) > self._share or (end > 0 and not goes_on)
            self.size -= sum(map(_size_of, self._untimed[self._share :]))
            del self._untimed[self._share :]
            self._share -= len(self._untimed)
            goes_on = goes_on and self._share > 0
        self._place_untimed(self._first_time or written_at)
        return goes_on and not self._is_full

    @property
    def _is_full(self) -> bool:
        """Whether nothing older is wanted, or would have room, however it is placed."""
        return len(self.found) >= self._lines or self.size > self._most_bytes

    def _take(self, lines: list[bytes]) -> bool:
        """Take what is wanted of some lines; return whether older lines may be wanted too."""
        newest = ""
        for raw in reversed(lines):
            time, text = split_time(raw.decode(errors="replace").removesuffix("\r"))
            is_kept = self._wanted.has_text(text)
            if time is None:
                if is_kept and len(self._untimed) < self._lines and not self._is_full:
                    self._untimed.append(text)
                    self.size += _size_of(text)
                continue
            newest = max(newest, time)
            self._first_time = time
            self._place_untimed(time)
            if is_kept and not self._is_full and self._place(time, time, text):
                self.size += _size_of(text)
            if self._is_full:
                return False
        # Not by one line: a clock that was set back would hide what is before.
        return not newest or newest >= self._lower

    def _place_untimed(self, time: str) -> None:
        for text in self._untimed:
            if not self._place(time, None, text):
                self.size -= _size_of(text)
        self._untimed.clear()

    def _place(self, placed_at: str, time: str | None, text: str) -> bool:
        """Keep a line if it is wanted at its place; return whether it is."""
        is_wanted = self._wanted.has_time(placed_at) and len(self.found) < self._lines
        if is_wanted:
            self.found.append(_Line(placed_at, self._log, next(self._numbers), time, text))
        return is_wanted


def _sizes(logs: Sequence[ProgramLog]) -> Callable[[int], int]:
    """Return a function that tells the size of a log's file, by its number."""

    def size(number: int) -> int:
        try:
            status = rotated.status_of(logs[number].path)
        except OSError:
            return 0
        return status.st_size if status else 0

    return size


def _written_at(file: LogFile) -> str:
    return milliseconds(datetime.fromtimestamp(file.written_at() / 1e9, UTC))


def _sentence(log: ProgramLog, problem: OSError | DaemonError) -> str:
    if isinstance(problem, DaemonError):
        return str(problem)
    return f"The log '{log.path}' can't be read: {(problem.strerror or str(problem)).lower()}"


def _newest(found: list[_Line], lines: int, room: int) -> tuple[list[_Line], int]:
    """Return the newest lines with their size: so many, of which no more than one has no room."""
    newest = sorted(found)[-lines:]
    size = 0
    for number, line in enumerate(reversed(newest), 1):
        size += _size_of(line.text)
        if size > room:
            return newest[-number:], size
    return newest, size


def _newest_that_fit(
    logs: Sequence[ProgramLog], found: list[_Line], room: int
) -> tuple[list[dict[str, Any]], bool]:
    """Return the newest lines that have room in JSON, or the end of the newest; and whether all have it."""
    fitting: list[dict[str, Any]] = []
    sizes = [_bytes_beside_the_text(log) for log in logs]
    for line in reversed(found):
        text = line.text
        room -= sizes[line.log] + json_bytes(text)
        if room < 0 and fitting:
            break
        if room < 0:
            text = end_of(text, max(room + json_bytes(text), 1))
        fitting.append({**logs[line.log].about, "time": line.time, "line": text})
    return fitting[::-1], room >= 0


def _bytes_beside_the_text(log: ProgramLog) -> int:
    return len(encode_basestring(log.name).encode()) + _BYTES_BESIDE


def _size_of(text: str) -> int:
    """Return what a line takes of an answer at least."""
    return len(text) + _BYTES_BESIDE
