"""Find out what a list of programs would change: programs are told apart by their names."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import Q

from daemon_programs.exceptions import Conflict
from daemon_programs.maintenance.sets import changes
from daemon_programs.maintenance.sets.changes import Change, InvalidProgram, InvalidPrograms
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

    Raise ValidationError for all programs that are not valid, and Conflict for one of another set.
    """
    present = _programs_about(wish)
    by_name = {program.name: program for program in present}
    wanted = [_wanted(wish, values, by_name) for values in wish.programs]
    _refuse(wanted, _with_wrong_ids(wish, wanted, by_name))
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


def _wanted(wish: Wish, values: dict[str, Any], present: dict[str, Program]) -> Program:
    """Return a program as it is to be: with the id that it has, in the set that is applied."""
    values = {**values, "set": values.get("set") or wish.set}
    former = present.get(values["name"])
    if former is None:
        return program_of(values)
    if former.set not in ("", values["set"]):
        raise Conflict(_other_set(former, values["set"]))
    return program_of({**values, "id": former.pk})


def _with_wrong_ids(
    wish: Wish, wanted: list[Program], present: dict[str, Program]
) -> Iterator[InvalidProgram]:
    """Yield the programs that are given another id than they have, or that of another program."""
    for values, program in zip(wish.programs, wanted, strict=True):
        id = values.get("id", program.pk)
        if id != program.pk:
            sentence = f"It has the ID {program.pk}, which can't be changed to {id}"
            yield InvalidProgram(program, ValidationError({"id": sentence}))
        elif id and program.name not in present and Program.objects.filter(pk=id).exists():
            sentence = f"Program ID {id} is already in use"
            yield InvalidProgram(program, ValidationError({"id": sentence}))


def _other_set(program: Program, wanted: str) -> str:
    belongs = f"Program '{program.name}' belongs to the set '{program.set}'"
    return f"{belongs}, not to '{wanted}'" if wanted else f"{belongs}: apply it with that set"


def _keep_what_differs(change: Change) -> None:
    change.change = [(old, new) for old, new in change.change if document_of(old) != document_of(new)]


def _rehearse(change: Change, wanted: list[Program]) -> None:
    """Make a change and roll it back; refuse all programs that it can't be made with."""
    invalid: list[InvalidProgram] = []
    try:
        changes.rehearse(change)
    except InvalidPrograms as problem:
        invalid = problem.found
    _refuse(wanted, [*invalid, *_with_missing_dependencies(change, wanted)])


def _with_missing_dependencies(change: Change, wanted: list[Program]) -> Iterator[InvalidProgram]:
    """Yield the programs that name programs that won't exist, unless they name them already."""
    named = {id(each): _dependencies_of(each) for each in change.wanted}
    for former, program in change.change:
        named[id(program)] = named[id(program)] - _dependencies_of(former)
    if not any(named.values()):
        return
    removed = {program.name for program in change.remove}
    exist = {*Program.objects.values_list("name", flat=True), *(each.name for each in wanted)} - removed
    for program in wanted:
        for name in sorted(named.get(id(program), set()) - exist):
            sentence = f"Field 'depends_on' names a program that does not exist: '{name}'"
            yield InvalidProgram(program, ValidationError({"depends_on": sentence}))


def _dependencies_of(program: Program) -> set[str]:
    return {each["program"] for each in program.depends_on or ()}


def _refuse(wanted: list[Program], invalid: Iterable[InvalidProgram]) -> None:
    """Raise a ValidationError for invalid programs: each message names its program, each key its position."""
    positions = {id(program): position for position, program in enumerate(wanted)}
    messages: dict[str, list[str]] = {}
    for each in sorted(invalid, key=lambda each: positions[id(each.program)]):
        for name, sentences in each.by_field().items():
            key = key_of(positions[id(each.program)], "" if name == NON_FIELD_ERRORS else name)
            messages.setdefault(key, []).extend(sentences)
    if messages:
        raise ValidationError(messages)


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
