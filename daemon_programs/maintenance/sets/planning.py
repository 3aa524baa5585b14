"""Find out what a list of programs would change: programs are told apart by their names."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import Q

from daemon_programs.exceptions import Conflict
from daemon_programs.maintenance.sets import changes
from daemon_programs.maintenance.sets.changes import Change, InvalidProgram
from daemon_programs.maintenance.sets.documents import differences, document_of, program_of
from daemon_programs.models import Program
from daemon_programs.programs import waiting
from daemon_programs.programs.selected import is_alive
from daemon_programs.supervisor import spec
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.text import printable

States = dict[str, ProgramState]


class Action(StrEnum):
    """What becomes of a program."""

    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    REMOVE = "remove"


@dataclass(frozen=True)
class Step:
    """What becomes of one program, field by field.

    ``restarts``: its process is replaced. ``stops``: its process is ended, since the program is removed or
    disabled.
    """

    program: Program
    action: Action
    changes: list[dict[str, Any]] = field(default_factory=list)
    restarts: bool = False
    stops: bool = False

    def document(self, *, is_made: bool) -> dict[str, Any]:
        """Return it as JSON. What is to be created has its id only once that is made."""
        has_id = is_made or self.action is not Action.CREATE
        return {
            "name": self.program.name,
            "id": self.program.pk if has_id else None,
            "action": self.action,
            "changes": self.changes,
            "restarts": self.restarts,
            "stops": self.stops,
        }


@dataclass(frozen=True)
class Wish:
    """A list of programs as they are to be, each as validated values."""

    programs: list[dict[str, Any]]
    set: str = ""
    prune: bool = False


@dataclass(frozen=True)
class Plan:
    """What a wish changes, rehearsed; with the programs and the states of their processes before it."""

    wish: Wish
    steps: list[Step]
    change: Change
    present: list[Program]
    states: States

    @property
    def revision(self) -> str:
        """Return the revision of the programs before the change."""
        return _revision(self.present)

    @property
    def actions(self) -> set[Action]:
        """Return what is done with any program."""
        return {step.action for step in self.steps}

    def counts(self) -> dict[str, int]:
        """Return how many programs take each action, and how many processes are replaced or ended."""
        counted = Counter(step.action for step in self.steps)
        return {
            **{action.value: counted[action] for action in Action},
            "restarts": sum(step.restarts for step in self.steps),
            "stops": sum(step.stops for step in self.steps),
        }


def revision_of(wish: Wish) -> str:
    """Return a digest of the present configuration of all programs that a wish is about."""
    return _revision(_programs_about(wish))


def make_plan(wish: Wish) -> Plan:
    """Return what a wish changes. Call it in a `write_transaction`, in which the change may then be made.

    Raise ValidationError for a program that is not valid, and Conflict for one of another set.
    """
    present = _programs_about(wish)
    by_name = {program.name: program for program in present}
    wanted = [_wanted(wish, position, by_name) for position in range(len(wish.programs))]
    named = {program.name for program in wanted}
    of_set = [each for each in present if wish.set and each.set == wish.set]
    change = Change(
        remove=[each for each in of_set if wish.prune and each.name not in named],
        change=[(by_name[each.name], each) for each in wanted if each.name in by_name],
        add=[each for each in wanted if each.name not in by_name],
    )
    _keep_what_differs(change)  # what is equal as it stands needs no rehearsal
    if change.remove or change.change or change.add:
        _rehearse(change, wanted)
        _keep_what_differs(change)
    states = waiting.states()
    return Plan(wish, _steps(change, wanted, states), change, present, states)


def _programs_about(wish: Wish) -> list[Program]:
    about = Q(name__in=[values["name"] for values in wish.programs])
    if wish.set:
        about |= Q(set=wish.set)
    return list(Program.objects.filter(about).order_by("id"))


def _revision(programs: list[Program]) -> str:
    documents = [[program.pk, document_of(program)] for program in programs]
    text = json.dumps(documents, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def _wanted(wish: Wish, position: int, present: dict[str, Program]) -> Program:
    """Return a program as it is to be: with the id that it has, in the set that is applied."""
    values = wish.programs[position]
    values = {**values, "set": values.get("set") or wish.set}
    former = present.get(values["name"])
    if former is None:
        program = program_of(values)
        if program.pk is not None and Program.objects.filter(pk=program.pk).exists():
            raise _invalid(position, program, "id", f"Program ID {program.pk} is already in use")
        return program
    if former.set not in ("", values["set"]):
        raise Conflict(_other_set(former, values["set"]))
    program = program_of({**values, "id": former.pk})
    if values.get("id", former.pk) != former.pk:
        sentence = f"It has the ID {former.pk}, which can't be changed to {values['id']}"
        raise _invalid(position, program, "id", sentence)
    return program


def _other_set(program: Program, wanted: str) -> str:
    belongs = f"Program '{program.name}' belongs to the set '{program.set}'"
    return f"{belongs}, not to '{wanted}'" if wanted else f"{belongs}: apply it with that set"


def _keep_what_differs(change: Change) -> None:
    change.change = [(old, new) for old, new in change.change if document_of(old) != document_of(new)]


def _rehearse(change: Change, wanted: list[Program]) -> None:
    try:
        changes.rehearse(change)
    except InvalidProgram as invalid:
        position = next(number for number, each in enumerate(wanted) if each is invalid.program)
        raise _located(position, invalid) from invalid
    _check_dependencies(change, wanted)


def _check_dependencies(change: Change, wanted: list[Program]) -> None:
    """Refuse names of programs that won't exist, unless a program names them already."""
    named = {id(each): _dependencies_of(each) for each in change.wanted}
    for former, program in change.change:
        named[id(program)] = named[id(program)] - _dependencies_of(former)
    if not any(named.values()):
        return
    removed = {program.name for program in change.remove}
    exist = {*Program.objects.values_list("name", flat=True), *(each.name for each in wanted)} - removed
    for position, program in enumerate(wanted):
        for name in sorted(named.get(id(program), set()) - exist):
            sentence = f"Field 'depends_on' names a program that does not exist: '{name}'"
            raise _invalid(position, program, "depends_on", sentence)


def _dependencies_of(program: Program) -> set[str]:
    return {each["program"] for each in program.depends_on or ()}


def _located(position: int, invalid: InvalidProgram) -> ValidationError:
    """Return the error for the client: each message names the program, each key its position."""
    by_field = (
        invalid.problem.message_dict
        if hasattr(invalid.problem, "error_dict")
        else {NON_FIELD_ERRORS: invalid.problem.messages}
    )
    return ValidationError(
        {
            key_of(position, "" if name == NON_FIELD_ERRORS else name): [
                f"Program '{invalid.program.name}': {message}" for message in messages
            ]
            for name, messages in by_field.items()
        }
    )


def _invalid(position: int, program: Program, name: str, sentence: str) -> ValidationError:
    return _located(position, InvalidProgram(program, ValidationError({name: sentence})))


def key_of(position: int, name: str) -> str:
    """Return what the errors of a field are listed by: ``programs.0.command``."""
    return f"programs.{position}.{printable(name)}".rstrip(".")


def _steps(change: Change, wanted: list[Program], states: States) -> list[Step]:
    formers = {id(new): former for former, new in change.change}
    added = {id(each) for each in change.add}
    steps = []
    for program in wanted:
        former = formers.get(id(program))
        if id(program) in added:
            steps.append(Step(program, Action.CREATE, differences(None, program)))
        elif former is None:
            steps.append(Step(program, Action.UNCHANGED))
        else:
            runs = _runs(former, states)
            replaced = not spec.runs_the_same(vars(former.specification()), vars(program.specification()))
            steps.append(
                Step(
                    program,
                    Action.CHANGE,
                    differences(former, program),
                    restarts=runs and program.enabled and replaced,
                    stops=runs and not program.enabled,
                )
            )
    removed = [Step(each, Action.REMOVE, stops=_runs(each, states)) for each in change.remove]
    return [*steps, *removed]


def _runs(program: Program, states: States) -> bool:
    """Return whether anything of a program runs, or is to run, that a change could end."""
    state = states.get(program.group)
    return state is not None and any(is_alive(process) for process in state["processes"].values())
