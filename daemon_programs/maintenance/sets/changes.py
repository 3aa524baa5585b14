"""A change of several programs, made as a whole.

It is rehearsed first: made in the database and rolled back. Only if that succeeds is it made again, in
supervisord too. Both happen in one transaction, so that no program is changed in between.
"""

from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat

from daemon_programs.models import Program
from daemon_programs.models.ids import catch_up
from daemon_programs.programs import registration, waiting
from daemon_programs.validators import dependencies

# Fields in which no two programs agree, and which programs of a change may swap.
_UNIQUE = ("name", "port_start", "port_end", "terminal_id")


class InvalidProgram(Exception):
    """A program of a change is not valid; ``problem`` says why."""

    def __init__(self, program: Program, problem: ValidationError) -> None:
        super().__init__(problem.messages[0])
        self.program = program
        self.problem = problem


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
    """Make a change in the database only and roll it back; raise InvalidProgram if it can't be made.

    The values of the programs are normalized by that.
    """
    with registration.offline(), transaction.atomic():
        _make(change, is_checked=False)
        transaction.set_rollback(True)


def make(change: Change) -> None:
    """Make a change that was rehearsed, in the same transaction."""
    _make(change, is_checked=True)


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


def _make(change: Change, *, is_checked: bool) -> None:
    for program in change.remove:
        Program.objects.get(pk=program.pk).delete()
    _clear_unique_fields(change.change)
    for program in _in_order_of_dependencies([wanted for _, wanted in change.change]):
        _save(program, is_checked, force_update=True)
    added = _in_order_of_dependencies(change.add)
    for program in [each for each in added if each.pk is not None]:  # explicit ids first
        _save(program, is_checked, force_insert=True)
    catch_up(Program)
    for program in [each for each in added if each.pk is None]:
        _save(program, is_checked, force_insert=True)
    if not is_checked:
        _check_circles(change.wanted)


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


def _save(program: Program, is_checked: bool, **how: bool) -> None:
    program.is_one_of_a_set = True
    try:
        if not is_checked:
            program.full_clean(validate_constraints=False)  # `clean` checks them, with better messages
        program.save(**how)  # whose signal checks that no temporary program has its terminal
    except ValidationError as problem:
        raise InvalidProgram(program, problem) from problem


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


def _check_circles(changed: list[Program]) -> None:
    """Refuse programs that wait for each other. Names that are missing are reported by the status instead."""
    if not any(program.depends_on for program in changed):
        return
    all_dependencies = dict(Program.objects.values_list("name", "depends_on"))
    for program in changed:
        try:
            dependencies.check_circles(program.name, all_dependencies)
        except ValidationError as problem:
            located = ValidationError({"depends_on": problem.messages})
            raise InvalidProgram(program, located) from problem
