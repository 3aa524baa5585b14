"""Which logs a request for several programs is about."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from daemon_programs.exceptions import NothingSelected
from daemon_programs.models import Program
from daemon_programs.models.rows import rows
from daemon_programs.programs import waiting
from daemon_programs.programs.selection import chosen_by_words
from daemon_programs.supervisor.instances import Key
from daemon_programs.text import printable

STREAMS = ("stdout", "stderr")
BOTH = "both"
TYPES = (*STREAMS, BOTH)


@dataclass(frozen=True)
class ProgramLog:
    """A log of a program, or of one of its instances."""

    program: int
    name: str = field(compare=False)  # it may change while the log is followed
    key: Key | None
    stream: str
    path: str
    user: str

    @property
    def about(self) -> dict[str, Any]:
        """Return what clients are told of it with each of its lines."""
        instance = {} if self.key is None else {self.key.kind.name: self.key.value}
        return {"program": self.name, "id": self.program, **instance, "stream": self.stream}


class Choice:
    """The programs that words stand for, as in ``programs.selection``; all programs without any.

    It can be refreshed while programs come and go. Words for states are only looked up at first: a program
    that was chosen because it was fatal stays chosen when it runs again.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Look the words up; raise NothingSelected for one that names no program."""
        self.is_everything = not words
        self._present = rows.all()
        of_states = [word for word in words if word.startswith("@")]
        states = waiting.states() if of_states else {}
        _, unknown = chosen_by_words(words, self._present, states)
        if unknown:
            raise NothingSelected(printable(unknown[0]))
        self._words = [word for word in words if word not in of_states]
        by_state, _ = chosen_by_words(of_states, self._present, states)
        self._by_state = {program.pk for program in by_state}

    def refresh(self) -> None:
        """Look up which programs are there now."""
        self._present = rows.all()

    def logs(self, type: str) -> list[ProgramLog]:
        """Return the logs of the programs, each file once."""
        if self.is_everything:
            return logs_of(self._present, type)
        chosen, _ = chosen_by_words(self._words, self._present, {})
        ids = self._by_state | {program.pk for program in chosen}
        return logs_of([program for program in self._present if program.pk in ids], type)


def logs_of(programs: Iterable[Program], type: str) -> list[ProgramLog]:
    """Return the logs of programs and of their instances. A file that several write to is the first one's."""
    found: dict[str, ProgramLog] = {}
    for program in programs:
        for key in program.keys or (None,):
            for stream in _streams(program, type):
                path = program.log_path(stream, key)
                found.setdefault(path, ProgramLog(program.pk, program.name, key, stream, path, program.user))
    return list(found.values())


def _streams(program: Program, type: str) -> Sequence[str]:
    if type != BOTH:
        return (type,)
    return STREAMS[:1] if program.redirect_stderr else STREAMS
