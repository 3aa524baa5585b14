"""Stream the logs of several programs: their last lines by time, then lines as they are written."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from daemon_programs.logs import merged
from daemon_programs.logs.chosen import Choice, ProgramLog
from daemon_programs.logs.cursor import Cursor
from daemon_programs.logs.follower import Follower, Line, LogEvent, Opened, Problem, Reset
from daemon_programs.logs.positions import LogName, format_positions, name_of
from daemon_programs.logs.wanted import Wanted, split_time
from daemon_programs.streams import sse
from daemon_programs.streams.watcher import Watcher

MAX_LOGS = 100  # the positions in more would not fit into the header `Last-Event-ID`
_BACKLOG_BYTES = 1024 * 1024
_LINES_PER_TURN = 200
_BYTES_PER_TURN = 64 * 1024  # unless a single line is longer
_LINES_OF_NEWCOMERS = 1000  # to begin with, of a program that matches later


class _Followed:
    """A log that is followed, and the position up to which its lines were sent."""

    def __init__(self, log: ProgramLog, position: Cursor | None, lines: int) -> None:
        self.log = log
        self.position = position
        self.is_leaving = False  # it is closed when it is read to its end
        self.follower = Follower(log.path, log.user)
        self.follower.open(lines, position)


class MergedLogStream:
    """The lines of several logs, as a source of the pump (`pump.Source`).

    An event has as many lines as are there, and all positions as its id: a client that has received it
    continues right after it. Programs that match later are found when the stream is refreshed.
    """

    group = "logs"  # no program's: it is refreshed each time that the connection is kept alive
    refresh_delay_seconds = 0.0
    look_seconds = 0.0

    def __init__(
        self,
        choice: Choice,
        wanted: Wanted,
        *,
        type: str,
        lines: int,
        last_event_id: Mapping[LogName, Cursor] | None = None,
    ) -> None:
        """Raise Refused if these are too many logs."""
        self._choice = choice
        self._wanted = wanted
        self._type = type
        self._lines = lines
        self._last = last_event_id or {}
        self._logs = choice.logs(type)
        merged.check_number(self._logs, MAX_LOGS)
        self._followed: dict[ProgramLog, _Followed] = {}
        self._ready: dict[_Followed, None] = {}  # a dict, because a set has no order
        self._first = b""
        self._watcher: Watcher | None = None
        self._wake: Callable[[], None] = lambda: None
        self._has_passed = False  # lines that were not sent, so that their positions were not either
        self._is_position_due = False
        self._is_without_logs = False
        self._is_ended = False

    @property
    def files(self) -> int:
        """Return how many files it is going to open."""
        return len(self._logs)

    def open(self) -> None:
        """Find the position in each log, and read what was written before, of those that are not resumed."""
        starts: dict[ProgramLog, Cursor] = {}
        for log in self._logs:
            position = self._last.get(name_of(log))
            followed = self._followed[log] = _Followed(log, position, 0)
            _, others = self._take(followed, followed.follower.next_events())
            self._first += others
            if position is None and followed.position is not None:
                starts[log] = followed.position
        read = merged.read(
            list(starts), self._wanted, self._lines, before=starts, max_json_bytes=_BACKLOG_BYTES
        )
        self._first = self._event(read.lines, is_truncated=read.is_truncated) + self._first
        self._first += b"".join(sse.event("error", problem) for problem in read.problems)

    def start(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        """Watch the logs, and return the lines to begin with."""
        self._watcher, self._wake = watcher, wake
        for followed in self._followed.values():
            self._watch(followed)
        first, self._first = self._first, b""
        return sse.RETRY + b"\n" + first

    def refresh(self) -> None:
        """Look for programs that have come or gone, and look at the folders of the logs again."""
        self._choice.refresh()
        present = {log: log for log in self._choice.logs(self._type)}
        for log, followed in self._followed.items():
            followed.log = present.get(log, log)  # a program may have been renamed
            followed.is_leaving = log not in present
            followed.follower.refresh()
            self._ready[followed] = None
        for log in present:
            if log not in self._followed and len(self._followed) < MAX_LOGS:
                followed = self._followed[log] = _Followed(log, None, _LINES_OF_NEWCOMERS)
                self._watch(followed)
        self._is_without_logs = not present and not self._choice.is_everything
        self._is_position_due = True

    def pull(self) -> bytes | None:
        """Return the next lines; None after the ``end`` event."""
        if self._is_ended:
            return None
        lines, others, number = self._next_lines()
        if lines:
            return self._event(lines) + others
        self._has_passed |= number > 0
        if others:
            return others
        if number:
            return sse.KEEP_ALIVE  # to get another turn
        if self._is_without_logs and not self._followed:
            self._is_ended = True
            return sse.event("end", {"reason": "removed"})
        return self._position_that_is_due()

    def close(self) -> None:
        """Close the logs."""
        for followed in self._followed.values():
            followed.follower.close()

    def _next_lines(self) -> tuple[list[dict[str, Any]], bytes, int]:
        """Return what is wanted of the next lines, other events, and how much was read for them."""
        lines: list[dict[str, Any]] = []
        others, number, size = b"", 0, 0
        while self._ready and number < _LINES_PER_TURN and size < _BYTES_PER_TURN and not others:
            followed = next(iter(self._ready))
            del self._ready[followed]
            events = followed.follower.next_events()
            if events:
                self._ready[followed] = None  # there may be more, after that of the others
            elif followed.is_leaving:
                events = followed.follower.last_events()
                self._leave(followed)
            found, others = self._take(followed, events)
            lines += found
            number += len(events)
            size += sum(len(event.text) for event in events if isinstance(event, Line))
        return lines, others, number

    def _take(self, followed: _Followed, events: Iterable[LogEvent]) -> tuple[list[dict[str, Any]], bytes]:
        """Return the lines that are wanted and the other events, and move the position past all of them."""
        lines: list[dict[str, Any]] = []
        others = b""
        about = followed.log.about
        for event in events:
            match event:
                case Line(line, _, cursor):
                    followed.position = cursor or followed.position
                    time, text = split_time(line)
                    if self._wanted.has_text(text):
                        lines.append({**about, "time": time, "line": text})
                case Opened(_, _, cursor):
                    followed.position = cursor or followed.position
                case Reset(reason, missed, cursor):
                    followed.position = cursor or followed.position
                    if missed:
                        others += sse.event("reset", {**about, "reason": reason, "missed": True})
                case Problem(sentence):
                    others += sse.event("error", {**about, "error": sentence})
        return lines, others

    def _watch(self, followed: _Followed) -> None:
        assert self._watcher is not None  # noqa: S101
        followed.follower.watch(self._watcher, partial(self._awaken, followed))
        self._ready[followed] = None

    def _awaken(self, followed: _Followed) -> None:
        self._ready[followed] = None
        self._wake()

    def _leave(self, followed: _Followed) -> None:
        followed.follower.close()
        del self._followed[followed.log]

    def _event(self, lines: list[dict[str, Any]], *, is_truncated: bool = False) -> bytes:
        self._has_passed = False
        data = {"lines": lines, **({"truncated": True} if is_truncated else {})}
        return sse.event("lines", data, self._positions())

    def _position_that_is_due(self) -> bytes:
        """Return the positions after lines that were not wanted, so that they are not read again."""
        if not (self._is_position_due and self._has_passed):
            return b""
        self._is_position_due = self._has_passed = False
        return f"id: {self._positions()}\n\n".encode()

    def _positions(self) -> str:
        return format_positions(
            {
                name_of(log): followed.position
                for log, followed in self._followed.items()
                if followed.position is not None
            }
        )
