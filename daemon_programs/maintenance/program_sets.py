"""Replace, import and export whole sets of programs (docs/contract.md, sections 3 and 7).

A change of the set is rehearsed first: it is made in the database and rolled back. Only if that succeeds
is it made again, in supervisord too. Both happen in one transaction, so that no program is changed in
between.
"""

import json
import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat
from rest_framework import serializers

from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import replace_text
from daemon_programs.maintenance import mirror
from daemon_programs.models import Program
from daemon_programs.programs import registration, waiting
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.serializers.representation import program_document
from daemon_programs.text import encodable
from daemon_programs.timestamps import file_stamp
from daemon_programs.transactions import on_failure, write_transaction
from daemon_programs.validators import dependencies

_NO_DEFAULTS = "Default programs file (programs.default.json) is missing or corrupt"
Documents = list[dict[str, Any]]


def reset() -> Path:
    """Replace all programs by the defaults; return the file that the replaced ones were saved to.

    Raise BackupUnusable if the file of defaults is missing or invalid: then nothing was changed.
    """
    with write_transaction():
        try:
            # Replace the programs that are equal too: a reset restarts everything.
            present = list(Program.objects.order_by("id"))
            plan = Plan(remove=present, add=_programs_of(_read_defaults()), replaced=present)
            _rehearse(plan)
        except BackupUnusable as problem:
            raise BackupUnusable(_NO_DEFAULTS) from problem
        saved = save_current()
        on_failure(lambda: saved.unlink(missing_ok=True))
        _apply(plan)
    _wait_until_replaced(plan)
    return saved


def import_programs(documents: Documents, *, keep_others: bool = False, dry_run: bool = False) -> list[str]:
    """Change the programs to those of the documents; return a sentence for each program.

    Programs are identified by their ids. With ``keep_others``, programs that are not in the documents are
    kept. With ``dry_run``, nothing is changed. Raise BackupUnusable if the set can't be imported: then
    nothing was changed.
    """
    with write_transaction():
        plan = _plan_import(documents, keep_others)
        if not dry_run:
            _apply(plan)
    if not dry_run:
        _wait_until_replaced(plan)
    return plan.sentences


def save_current() -> Path:
    """Save the present programs to a dated file, from which they can be imported; return its path."""
    settings.BACKUPS_FOLDER.mkdir(mode=0o700, exist_ok=True)
    file = Path(settings.BACKUPS_FOLDER) / f"programs-{file_stamp()}.json"
    replace_text(file, export_text())
    return file


def export_text() -> str:
    """Return the present programs as the text of a file, from which they can be imported."""
    return mirror.text_of(Program.objects.order_by("id"))


def read_documents(file: Path) -> Documents:
    """Return the program objects of a file that has ``{"programs": […]}`` or a bare list.

    Raise BackupUnusable for any other content.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as problem:
        raise BackupUnusable(f"{file} can't be read: {problem}") from problem
    documents = content.get("programs") if isinstance(content, dict) else content
    if not isinstance(documents, list) or not all(isinstance(each, dict) for each in documents):
        raise BackupUnusable(f"{file} holds no list of programs")
    return documents


def shipped_defaults() -> Documents:
    """Return the programs of a new stack: examples, or none if users or folders are restricted."""
    if settings.ALLOWED_USERS or settings.WORK_ROOTS:
        return []
    documents = read_documents(Path(settings.SHIPPED_DEFAULT_PROGRAMS_FILE))
    # A stack that does not run as root can run programs only as its own user.
    own_user = pwd.getpwuid(os.geteuid()).pw_name
    return [{**document, "user": own_user} for document in documents]


def make_snapshot(documents: Documents) -> None:
    """Write the snapshot that ``reset`` restores, when a stack is set up."""
    replace_text(Path(settings.DEFAULT_PROGRAMS_FILE), mirror.text_of(_programs_of(documents)))


def _read_defaults() -> Documents:
    return read_documents(Path(settings.DEFAULT_PROGRAMS_FILE))


@dataclass
class Plan:
    """The changes that are to be made, and a sentence for each program."""

    remove: list[Program] = field(default_factory=list)
    change: list[Program] = field(default_factory=list)
    add: list[Program] = field(default_factory=list)
    replaced: list[Program] = field(default_factory=list)  # in their old state, whose grace period applies
    sentences: list[str] = field(default_factory=list)


def _plan_import(documents: Documents, keep_others: bool) -> Plan:
    present = {program.pk: program for program in Program.objects.order_by("id")}
    wanted = _programs_of(documents)
    named = {program.pk for program in wanted}
    plan = Plan(
        remove=[] if keep_others else [each for each in present.values() if each.pk not in named],
        change=[program for program in wanted if program.pk in present],
        add=[program for program in wanted if program.pk not in present],
    )
    _rehearse(plan)  # which also normalizes the values
    changes = {program.pk: _differences(present[program.pk], program) for program in plan.change}
    plan.change = [program for program in plan.change if changes[program.pk]]
    plan.replaced = [*plan.remove, *(present[program.pk] for program in plan.change)]
    kept = [each for each in present.values() if not changes.get(each.pk) and each not in plan.remove]
    plan.sentences = [
        *(f"remove {_named(each)}" for each in plan.remove),
        *(f"change {_named(each)}: {changes[each.pk]}" for each in plan.change),
        *(f"add    {_named(each)}" for each in plan.add),
        *(f"keep   {_named(each)}" for each in kept),
    ]
    return plan


def _rehearse(plan: Plan) -> None:
    """Make the change in the database only and roll it back; raise BackupUnusable if it can't be made."""
    with registration.offline(), transaction.atomic():
        _apply(plan)
        transaction.set_rollback(True)


def _apply(plan: Plan) -> None:
    for program in plan.remove:
        Program.objects.get(pk=program.pk).delete()
    _clear_unique_fields(plan.change)
    for program in _in_order_of_dependencies(plan.change):
        _save(program, force_update=True)
    added = _in_order_of_dependencies(plan.add)
    for program in sorted(added, key=lambda each: each.pk is None):  # explicit ids first
        _save(program, force_insert=True)
    _check_circles([*plan.change, *plan.add])


def _wait_until_replaced(plan: Plan) -> None:
    for program in plan.replaced:
        waiting.wait_until_gone(
            program, timeout_message="The programs are replaced; some are still being stopped"
        )


def _clear_unique_fields(programs: list[Program]) -> None:
    """Clear the unique fields of programs that are about to be changed: they may swap the values."""
    Program.objects.filter(pk__in=[program.pk for program in programs]).update(
        name=Concat(Value("\x01"), Cast(F("id"), CharField())),
        port_start=None,
        port_end=None,
        terminal_id=None,
    )


def _save(program: Program, **how: bool) -> None:
    program.is_one_of_a_set = True
    try:
        program.full_clean()
        program.save(**how)  # whose signal checks that no temporary program has its terminal
    except ValidationError as problem:
        raise BackupUnusable(f"Program '{program.name}': {problem.messages[0]}") from problem


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
            raise BackupUnusable(f"Program '{program.name}': {problem.messages[0]}") from problem


def _programs_of(documents: Documents) -> list[Program]:
    """Return the programs that some documents describe; raise BackupUnusable for an invalid document."""
    programs: list[Program] = []
    ids: set[int] = set()
    for position, document in enumerate(documents, 1):
        try:
            program = _program_of(document)
        except serializers.ValidationError as problem:
            label = f"Program '{document['name']}'" if document.get("name") else f"Program number {position}"
            raise BackupUnusable(encodable(f"{label}: {_first_sentence(problem)}")) from problem
        if program.pk in ids:
            raise BackupUnusable(f"Program '{program.name}': the ID {program.pk} is in the file twice")
        if program.pk is not None:
            ids.add(program.pk)
        programs.append(program)
    return programs


def _program_of(document: dict[str, Any]) -> Program:
    serializer = ProgramSerializer(data=document)
    serializer.is_valid(raise_exception=True)
    program = Program(**serializer.validated_data)
    # Files show the default log paths too. Don't store these: they follow the state folder and the name.
    for stream in ("stdout", "stderr"):
        if getattr(program, f"{stream}_logfile") == program.default_log(stream):
            setattr(program, f"{stream}_logfile", "")
    return program


def _differences(present: Program, wanted: Program) -> str:
    """Return the names of the fields that would change."""
    old, new = program_document(present), program_document(wanted)
    return ", ".join(key for key in sorted({*old, *new}) if old.get(key) != new.get(key))


def _named(program: Program) -> str:
    return f"'{program.name}' ({program.pk})"


def _first_sentence(problem: serializers.ValidationError) -> str:
    detail: Any = problem.detail
    while not isinstance(detail, str):
        detail = next(iter(detail.values())) if isinstance(detail, dict) else detail[0]
    return str(detail)
