"""Stream a log: its last lines, then each line as it is written."""

import json
from collections.abc import Callable
from typing import Any

from daemon_programs.logs.cursor import Cursor
from daemon_programs.logs.follower import Follower, Line, LogEvent, Opened, Problem, Reset
from daemon_programs.models import Program, SupervisedProgram
from daemon_programs.streams import sse
from daemon_programs.streams.watcher import Watcher
from daemon_programs.supervisor.instances import Key

# Returns why the log will not be written any more, as the data of the ``end`` event; None if it will.
Ending = Callable[[], dict[str, Any] | None]


def of_program(program: Program, key: Key | None, query: dict[str, Any]) -> "LogStream":
    """Return the stream of a program's log for the values of a ``LogStreamQuerySerializer``."""
    path = program.log_path(query["type"], key)

    def ending() -> dict[str, Any] | None:
        current = Program.objects.filter(pk=program.pk).first()
        if current is None:
            return {"reason": "removed"}
        is_there = current.has_process(key) and current.user == program.user
        is_same = is_there and current.log_path(query["type"], key) == path
        return None if is_same else {"reason": "changed"}

    return LogStream(program, path, ending, **query)


class LogStream:
    """The events of one log, as a source of the pump (`pump.Source`)."""

    # A change is reported a moment before what follows from it is in the database.
    refresh_delay_seconds = 0.25
    look_seconds = 0.0
    files = 1

    def __init__(
        self,
        program: SupervisedProgram,
        path: str,
        ending: Ending,
        *,
        type: str,
        lines: int,
        last_event_id: Cursor | None = None,
    ) -> None:
        self.group = program.group
        self._path = path
        self._type = type
        self._lines = lines
        self._cursor = last_event_id
        self._ending = ending
        self._end: dict[str, Any] | None = None
        self._ended = False
        self._follower = Follower(path, program.user)

    def open(self) -> None:
        """Find the position in the log to start from."""
        self._follower.open(self._lines, self._cursor)

    def start(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        """Watch the log, and return the start of the stream."""
        self._follower.watch(watcher, wake)
        self.refresh()
        return sse.RETRY + b"\n"

    def refresh(self) -> None:
        """Check whether the log ends, and look at its folder again."""
        self._end = self._end or self._ending()
        self._follower.refresh()

    def pull(self) -> bytes | None:
        """Return the next events; None after the ``end`` event."""
        if self._ended:
            return None
        events = self._follower.next_events()
        if events or self._end is None:
            return b"".join(map(self._text_of, events))
        # The log has been read to its end since it was known that nothing more will be written.
        self._ended = True
        last = b"".join(map(self._text_of, self._follower.last_events()))
        return last + sse.event("end", self._end)

    def close(self) -> None:
        """Close the log."""
        self._follower.close()

    def _text_of(self, event: LogEvent) -> bytes:
        match event:
            case Line(text, offset, cursor):
                # Not with json.dumps, which takes ten times as long: there may be many lines.
                data = f'{{"line": {json.encoder.encode_basestring(text)}, "offset": {offset}}}'
                head = "" if cursor is None else f"id: {cursor}\n"
                return f"{head}event: line\ndata: {data}\n\n".encode()
            case Opened(exists, offset, cursor):
                about = {"log_file": self._path, "type": self._type, "offset": offset, "exists": exists}
                return sse.event("open", about, cursor)
            case Reset(reason, missed, cursor):
                return sse.event("reset", {"reason": reason, "offset": 0, "missed": missed}, cursor)
            case Problem(sentence):
                return sse.event("error", {"error": sentence})
