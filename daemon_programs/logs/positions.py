"""Positions in several logs as one text, by which a stream of them is resumed."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from daemon_programs.logs.chosen import STREAMS, ProgramLog
from daemon_programs.logs.cursor import Cursor
from daemon_programs.supervisor.instances import KINDS

NOWHERE = "-"  # the positions in no logs
_KINDS = {kind.name[0]: kind for kind in KINDS}
_STREAMS = {stream[3]: stream for stream in STREAMS}  # "o" and "e"
_ENTRY = re.compile(r"([0-9]{1,9})(?:([pi])([0-9]{1,5}))?([oe])-([0-9a-f-]{7,54})")
_LONGEST = 8000  # a line of a request has 8190 bytes


class LogName(NamedTuple):
    """What identifies a log to clients: the program, its instance as kind and number, and the stream."""

    program: int
    instance: tuple[str, int] | None
    stream: str


def name_of(log: ProgramLog) -> LogName:
    """Return what identifies a log."""
    instance = None if log.key is None else (log.key.kind.name, log.key.value)
    return LogName(log.program, instance, log.stream)


def format_positions(positions: Mapping[LogName, Cursor]) -> str:
    """Return the positions as a text of letters, digits, dots and hyphens."""
    return ".".join(f"{_format_name(name)}-{cursor}" for name, cursor in positions.items()) or NOWHERE


def _format_name(name: LogName) -> str:
    instance = "" if name.instance is None else f"{name.instance[0][0]}{name.instance[1]}"
    return f"{name.program}{instance}{name.stream[3]}"


def parse_positions(text: str) -> dict[LogName, Cursor]:
    """Return the positions of a text; raise ValueError if it isn't one."""
    if text == NOWHERE:
        return {}
    if len(text) > _LONGEST:
        raise ValueError("too long")
    return dict(map(_parse_entry, text.split(".")))


def _parse_entry(text: str) -> tuple[LogName, Cursor]:
    match = _ENTRY.fullmatch(text)
    if match is None:
        raise ValueError("no position in a log")
    program, kind, number, stream, cursor = match.groups()
    instance = (_KINDS[kind].name, int(number)) if kind else None
    return LogName(int(program), instance, _STREAMS[stream]), Cursor.parse(cursor)
