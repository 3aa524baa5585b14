"""A change of several programs, made as a whole.

It is rehearsed first: made in the database and rolled back. Only if that succeeds is it made again, in
supervisord too. Both happen in one transaction, so that no program is changed in between.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat

from daemon_programs.models import Program
from daemon_programs.models.ids import catch_up
from daemon_programs.programs import registration, waiting
from daemon_programs.validators import dependencies

# Fields in which no two programs agree, and which programs of a change may swap.
_UNIQUE = ("name", "port_start", "port_end", "terminal_id")


@dataclass(frozen=True)
class InvalidProgram:
    """A program of a change that is not valid; ``problem`` says why."""

    program: Program
    problem: ValidationError

    def __str__(self) -> str:
        return self._sentence(self.problem.messages[0])

    def by_field(self) -> dict[str, list[str]]:
        """Return the messages of each field, each of which names the program."""
        if hasattr(self.problem, "error_dict"):
            messages = self.problem.message_dict
        else:
            messages = {NON_FIELD_ERRORS: self.problem.messages}
        return {name: list(map(self._sentence, found)) for name, found in messages.items()}

    def _sentence(self, message: str) -> str:
        return f"Program '{self.program.name}': {message}"


class InvalidPrograms(Exception):
    """Some programs of a change are not valid: ``found``, of which there is at least one."""

    def __init__(self, found: list[InvalidProgram]) -> None:
        super().__init__(str(found[0]))
        self.found = found


@dataclass
class Change:
    """The programs that are to be removed, changed (as they are, and as they will be), and added."""

    remove: list[Program] = field(default_factory=list)
    change: list[tuple[Program, Program]] = field(default_factory=list)
    add: list[Program] = field(default_factory=list)

    @property
    def wanted(self) -> list[Program]:
        """Return the programs that change or are new, as they will be."""
        return [*(wanted for _, wanted in self.change), *self.add]

    @property
    def replaced(self) -> list[Program]:
        """Return the programs that change or are removed, as they were: their grace periods apply."""
        return [*self.remove, *(former for former, _ in self.change)]


def rehearse(change: Change) -> None:
    """Make a change in the database only and roll it back; raise InvalidPrograms if it can't be made.

    The values of the programs are normalized by that.
    """
    invalid: list[InvalidProgram] = []

    def check_and_save(program: Program, **how: bool) -> None:
        try:
            program.full_clean(validate_constraints=False)  # `clean` checks them, with better messages
            program.save(**how)  # whose signal checks that no temporary program has its terminal
        except ValidationError as problem:
            invalid.append(InvalidProgram(program, problem))

    with registration.offline(), transaction.atomic():
        _make(change, check_and_save)
        if not invalid:  # the rows of programs that are not valid are still the former ones
            invalid += _in_circles(change.wanted)
        transaction.set_rollback(True)
    if invalid:
        raise InvalidPrograms(invalid)


def make(change: Change) -> None:
    """Make a change that was rehearsed, in the same transaction."""
    _make(change, Program.save)


def wait_until_replaced(change: Change) -> None:
    """Wait until nothing runs any more as it was before a change."""
    if registration.is_offline():
        return
    states = waiting.states()
    for program in change.replaced:
        state = states.get(program.group)
        if state is not None and state["changing"]:
            waiting.wait_until_gone(
                program, timeout_message="The programs are replaced; some are still being stopped"
            )


def _make(change: Change, save: Callable[..., None]) -> None:
    for program in change.remove:
        Program.objects.get(pk=program.pk).delete()
    for program in change.wanted:
        program.is_one_of_a_set = True
    _clear_unique_fields(change.change)
    for program in _in_order_of_dependencies([wanted for _, wanted in change.change]):
        save(program, force_update=True)
    added = _in_order_of_dependencies(change.add)
    for program in [each for each in added if each.pk is not None]:  # explicit ids first
        save(program, force_insert=True)
    catch_up(Program)
    for program in [each for each in added if each.pk is None]:
        save(program, force_insert=True)


def _clear_unique_fields(changed: list[tuple[Program, Program]]) -> None:
    """Clear the unique fields that are about to be changed: programs may swap the values."""
    moved = [
        wanted.pk
        for former, wanted in changed
        if any(getattr(former, name) != getattr(wanted, name) for name in _UNIQUE)
    ]
    if moved:
        Program.objects.filter(pk__in=moved).update(
            name=Concat(Value("\x01"), Cast(F("id"), CharField())),
            port_start=None,
            port_end=None,
            terminal_id=None,
        )


def _in_order_of_dependencies(programs: list[Program]) -> list[Program]:
    """Return the programs, each after those that it depends on.

    So none is started because what it depends on was ready before it was replaced.
    """
    by_name = {program.name: program for program in programs}
    ordered: dict[int, Program] = {}
    visited: set[int] = set()
    to_visit = programs[::-1]
    while to_visit:
        program = to_visit[-1]
        others: list[Program] = []
        if id(program) not in visited:
            visited.add(id(program))
            others = [
                by_name[each["program"]] for each in program.depends_on or () if each["program"] in by_name
            ]
        unvisited = [other for other in others if id(other) not in visited]
        if unvisited:
            to_visit += unvisited
        else:
            ordered.setdefault(id(program), to_visit.pop())
    return list(ordered.values())


def _in_circles(changed: list[Program]) -> Iterator[InvalidProgram]:
    """Yield the programs that wait for each other. Names that are missing are reported by the status."""
    if not any(program.depends_on for program in changed):
        return
    all_dependencies = dict(Program.objects.values_list("name", "depends_on"))
    for program in changed:
        try:
            dependencies.check_circles(program.name, all_dependencies)
        except ValidationError as problem:
            yield InvalidProgram(program, ValidationError({"depends_on": problem.messages}))
