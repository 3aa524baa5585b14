"""A log as a stream: its last lines, then each line as it is written."""

import json
from collections.abc import Callable
from typing import Any

from daemon_programs.logs.cursor import Cursor
from daemon_programs.logs.follower import Follower, Line, News, Opened, Problem, Reset
from daemon_programs.models import Program, SupervisedProgram
from daemon_programs.streams import sse
from daemon_programs.streams.watcher import Watcher

# Asked of whom a log belongs to: why it will not be written any more, as the data of ``end``.
Ending = Callable[[], dict[str, Any] | None]


def of_program(program: Program, port: int | None, query: dict[str, Any]) -> "LogStream":
    """The stream of a program's log, as a ``LogStreamQuerySerializer`` has it asked for."""
    path = program.log_path(query["type"], port)

    def ending() -> dict[str, Any] | None:
        present = Program.objects.filter(pk=program.pk).first()
        if present is None:
            return {"reason": "removed"}
        has_it = port in present.ports if port is not None else not present.has_ports
        same = has_it and present.log_path(query["type"], port) == path and present.user == program.user
        return None if same else {"reason": "changed"}

    return LogStream(program, path, ending, **query)


class LogStream:
    """The events of one log, as the pump takes them (`pump.Source`)."""

    # What follows from a change is in the database a moment after it was told.
    looks_after_seconds = 0.25

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
        self._begin_behind = last_event_id
        self._ending = ending
        self._end: dict[str, Any] | None = None
        self._ended = False
        self._follower = Follower(path, program.user)

    def open(self) -> None:
        self._follower.open(self._lines, self._begin_behind)

    def begin(self, watcher: Watcher, wake: Callable[[], None]) -> bytes:
        self._follower.watch(watcher, wake)
        self.look()
        return sse.RETRY + b"\n"

    def look(self) -> None:
        self._end = self._end or self._ending()
        self._follower.look_again()

    def pull(self) -> bytes | None:
        if self._ended:
            return None
        news = self._follower.turn()
        if news or self._end is None:
            return b"".join(map(self._event, news))
        # Everything is read that was there when the end was known.
        self._ended = True
        rest = b"".join(map(self._event, self._follower.rest()))
        return rest + sse.event("end", self._end)

    def close(self) -> None:
        self._follower.close()

    def _event(self, news: News) -> bytes:
        match news:
            case Line(text, offset, cursor):
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
