"""Choose programs by id, name, label or state."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from daemon_programs.models import Program
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.validators.labels import Selector, parse_selector

DISABLED = "disabled"  # what a program is called that is disabled, instead of stopped
STATES = (*statuses.STATUSES, DISABLED)


@dataclass(frozen=True)
class Selection:
    """What programs are chosen by. Each part that is given narrows the choice.

    Of ``ids``, ``names`` (globs) and ``states`` a program needs to match one, of ``labels`` all.
    """

    ids: frozenset[int] | None = None
    names: tuple[str, ...] | None = None
    labels: tuple[Selector, ...] = ()
    states: frozenset[str] | None = None

    def of(self, programs: Iterable[Program], states: dict[str, ProgramState]) -> list[Program]:
        """Return those of the programs that match, in their order; ``states`` are supervisord's by group."""
        return [program for program in programs if self._matches(program, states)]

    def missing(self, programs: Iterable[Program]) -> tuple[list[int], list[str]]:
        """Return the ids, and the names that are no globs, that none of all programs has, in order."""
        programs = list(programs)
        ids = (self.ids or frozenset()) - {program.pk for program in programs}
        names = set(self.names or ()) - {program.name for program in programs}
        return sorted(ids), sorted(name for name in names if not is_glob(name))

    def _matches(self, program: Program, states: dict[str, ProgramState]) -> bool:
        return (
            (self.ids is None or program.pk in self.ids)
            and (self.names is None or any(matches_name(program, name) for name in self.names))
            and all(selector.selects(program.labels) for selector in self.labels)
            and (self.states is None or state_of(program, states.get(program.group)) in self.states)
        )


def parse(text: str) -> Selection:
    """Return the selection that one word stands for, as at the command line.

    ``7`` is an id, ``@fatal`` a state, ``team=shop`` a label, anything else a name, which may be a glob.
    A program whose *name* is such a word is found by ``named``, which goes first.
    """
    if text.isascii() and text.isdecimal():
        return Selection(ids=frozenset({int(text)}))
    if text.startswith("@"):
        return Selection(states=frozenset({text[1:]}))
    if "=" in text and (selector := parse_selector(text)) is not None:
        return Selection(labels=(selector,))
    return Selection(names=(text,))


def chosen_by_words(
    words: Iterable[str], programs: list[Program], states: dict[str, ProgramState]
) -> tuple[list[Program], list[str]]:
    """Return the programs that any of the words names, in their order, and the words that name none."""
    chosen: set[int] = set()
    unknown = []
    for word in words:
        named = [program for program in programs if program.name == word]
        found = named or parse(word).of(programs, states)
        chosen.update(program.pk for program in found)
        if not found:
            unknown.append(word)
    return [program for program in programs if program.pk in chosen], unknown


def is_glob(name: str) -> bool:
    """Return whether a name may stand for others than itself."""
    return any(sign in name for sign in "*?[")


def matches_name(program: Program, pattern: str) -> bool:
    """Return whether a program has a name: that very one, or one that a glob describes."""
    return program.name == pattern or fnmatchcase(program.name, pattern)


def state_of(program: Program, state: ProgramState | None) -> str:
    """Return the state of a program as one word: that of its status, or ``disabled``."""
    word = statuses.program_status(program, state)["status"]
    return DISABLED if not program.enabled and word == "stopped" else word
