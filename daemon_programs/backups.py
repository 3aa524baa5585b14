"""Whole sets of programs: the defaults, ``reset``, import and export (contract, sections 3 and 7).

A set is rehearsed before anything is changed: the whole change is made in a transaction that is
rolled back. Only then is it made for good, and supervisord told.
"""

import json
import os
import pwd
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import CharField, F, Value
from django.db.models.functions import Cast, Concat
from rest_framework import serializers

from daemon_programs import mirror, runtime, sync
from daemon_programs.documents import program_document
from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import replace_text
from daemon_programs.models import Program
from daemon_programs.serializers import ProgramSerializer
from daemon_programs.transactions import on_failure, write_transaction

_NO_DEFAULTS = "Default programs file (programs.default.json) is missing or corrupt"
Documents = list[dict[str, Any]]


def reset() -> Path:
    """Go back to the defaults; the file in which the programs that were replaced are kept."""
    documents = read_defaults()
    try:
        plan = plan_import(documents)
    except BackupUnusable as problem:
        raise BackupUnusable(_NO_DEFAULTS) from problem
    # Not only those that differ: a reset starts everything afresh.
    plan.remove = list(Program.objects.order_by("id"))
    plan.add, plan.change, plan.keep = documents, [], []
    _rehearse(plan)
    with write_transaction():
        kept = keep_current()
        on_failure(lambda: kept.unlink(missing_ok=True))
        _apply(plan)
    _wait_until_ended(plan)
    return kept


def keep_current() -> Path:
    """Keep the present set as a dated file that ``import_programs`` reads."""
    settings.BACKUPS_FOLDER.mkdir(mode=0o700, exist_ok=True)
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%fZ")
    file = Path(settings.BACKUPS_FOLDER) / f"programs-{stamp}.json"
    replace_text(file, export_text())
    return file


def export_text() -> str:
    """The present set, as the text of a file that ``import_programs`` reads."""
    return mirror.text_of(Program.objects.order_by("id"))


@dataclass
class Plan:
    """What an import does: documents to add and change, programs to remove and to leave alone."""

    add: Documents = field(default_factory=list)
    change: Documents = field(default_factory=list)
    remove: list[Program] = field(default_factory=list)
    keep: list[Program] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """One line for each program."""
        changed = {program.pk: program for program in Program.objects.all()}
        return [
            *(f"remove {_named(each.name, each.pk)}" for each in self.remove),
            *(
                f"change {_named(each['name'], each['id'])}: {_differences(changed[each['id']], each)}"
                for each in self.change
            ),
            *(f"add    {_named(each['name'], each.get('id'))}" for each in self.add),
            *(f"keep   {_named(each.name, each.pk)}" for each in self.keep),
        ]


def plan_import(documents: Documents, *, keep_others: bool = False) -> Plan:
    """What makes the present set that of the documents; BackupUnusable if that can't be done.

    Programs are told apart by their ids. ``keep_others`` leaves alone what the documents don't name.
    """
    plan = Plan()
    present = {program.pk: program for program in Program.objects.order_by("id")}
    for document in documents:
        program = present.pop(document["id"], None) if type(document.get("id")) is int else None
        if program is None:
            plan.add.append(document)
        elif _differences(program, document):
            plan.change.append(document)
        else:
            plan.keep.append(program)
    if keep_others:
        plan.keep += present.values()
    else:
        plan.remove = list(present.values())
    _rehearse(plan)
    return plan


def carry_out(plan: Plan) -> None:
    """Make the change, and wait until what is withdrawn has ended."""
    with write_transaction():
        _apply(plan)
    _wait_until_ended(plan)


def _wait_until_ended(plan: Plan) -> None:
    for group in {program.group for program in plan.remove}:
        runtime.wait_until_gone(group, otherwise="The programs are replaced; some are still being stopped")


def read_documents(file: Path) -> Documents:
    """The program objects of a file, ``{"programs": […]}`` or a bare list; BackupUnusable otherwise."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BackupUnusable(f"{file} can't be read: {problem}") from problem
    documents = content.get("programs") if isinstance(content, dict) else content
    if not isinstance(documents, list) or not all(isinstance(each, dict) for each in documents):
        raise BackupUnusable(f"{file} holds no list of programs")
    return documents


def read_defaults() -> Documents:
    """The documents of the snapshot that ``reset`` goes back to."""
    try:
        return read_documents(Path(settings.DEFAULT_PROGRAMS_FILE))
    except BackupUnusable as problem:
        raise BackupUnusable(_NO_DEFAULTS) from problem


def make_snapshot() -> None:
    """Make the snapshot that ``reset`` goes back to, from what is shipped, when a stack is set up."""
    documents = read_documents(Path(settings.SHIPPED_DEFAULT_PROGRAMS_FILE))
    # A stack that doesn't run as root runs programs as itself only.
    own = pwd.getpwuid(os.geteuid()).pw_name
    programs = [_program_of({**document, "user": own}) for document in documents]
    replace_text(Path(settings.DEFAULT_PROGRAMS_FILE), mirror.text_of(programs))


def _rehearse(plan: Plan) -> None:
    """Make the change in the database alone, and roll it back; BackupUnusable if it can't be made."""
    with write_transaction(), sync.offline():
        _apply(plan)
        transaction.set_rollback(True)


def _apply(plan: Plan) -> None:
    for program in plan.remove:
        Program.objects.get(pk=program.pk).delete()
    _make_room(plan.change)
    for document in plan.change:
        _save(document, force_update=True)
    for document in plan.add:
        _save(document, force_insert=True)


def _make_room(documents: Documents) -> None:
    """Free what must be unique of programs that are about to be changed: they may swap it."""
    changing = Program.objects.filter(pk__in=[document["id"] for document in documents])
    changing.update(
        name=Concat(Value("\x01"), Cast(F("id"), CharField())),
        port_start=None,
        port_end=None,
        terminal_id=None,
    )


def _save(document: dict[str, Any], **how: bool) -> None:
    name = document.get("name") or f"of id {document.get('id')}"
    try:
        program = _program_of(document)
        if how.get("force_insert") and program.pk and Program.objects.filter(pk=program.pk).exists():
            raise ValidationError(f"Program ID {program.pk} stands in the file twice")  # noqa: TRY301
        program.full_clean()
    except (ValidationError, serializers.ValidationError) as problem:
        raise BackupUnusable(f"Program '{name}': {_first_sentence(problem)}") from problem
    program.save(**how)


def _program_of(document: dict[str, Any]) -> Program:
    serializer = ProgramSerializer(data=document)
    serializer.is_valid(raise_exception=True)
    program = Program(**serializer.validated_data)
    # An effective default path, as the files show it, is no choice: it moves with the state folder.
    for stream in ("stdout", "stderr"):
        if getattr(program, f"{stream}_logfile") == program.default_log(stream):
            setattr(program, f"{stream}_logfile", "")
    return program


def _differences(program: Program, document: dict[str, Any]) -> str:
    """The fields in which a program is not what a document says it is."""
    present = program_document(program)
    keys = sorted({*present, *document} - {"hoody_kit", "status", "stats"})
    return ", ".join(key for key in keys if present.get(key) != document.get(key))


def _named(name: object, id: object) -> str:
    return f"'{name}' ({id})" if id else f"'{name}'"


def _first_sentence(problem: ValidationError | serializers.ValidationError) -> str:
    if isinstance(problem, ValidationError):
        return problem.messages[0]
    detail: Any = problem.detail
    while not isinstance(detail, str):
        detail = next(iter(detail.values())) if isinstance(detail, dict) else detail[0]
    return str(detail)
