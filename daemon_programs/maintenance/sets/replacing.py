"""Replace, import and export all programs of a stack (docs/contract.md, sections 3 and 7)."""

import json
import os
import pwd
from pathlib import Path
from typing import Any

from django.conf import settings
from rest_framework import serializers

from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import replace_text
from daemon_programs.maintenance import mirror
from daemon_programs.maintenance.sets import changes
from daemon_programs.maintenance.sets.changes import Change, InvalidPrograms
from daemon_programs.maintenance.sets.documents import program_of
from daemon_programs.models import Program
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.serializers.representation import program_document
from daemon_programs.text import encodable
from daemon_programs.timestamps import file_stamp
from daemon_programs.transactions import on_failure, write_transaction

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
            change = Change(remove=present, add=_programs_of(_read_defaults()))
            _rehearse(change)
        except BackupUnusable as problem:
            raise BackupUnusable(_NO_DEFAULTS) from problem
        saved = save_current()
        on_failure(lambda: saved.unlink(missing_ok=True))
        changes.make(change)
    changes.wait_until_replaced(change)
    return saved


def import_programs(documents: Documents, *, keep_others: bool = False, dry_run: bool = False) -> list[str]:
    """Change the programs to those of the documents; return a sentence for each program.

    Programs are identified by their ids. With ``keep_others``, programs that are not in the documents are
    kept. With ``dry_run``, nothing is changed. Raise BackupUnusable if the set can't be imported: then
    nothing was changed.
    """
    with write_transaction():
        change, sentences = _plan_import(documents, keep_others)
        if not dry_run:
            changes.make(change)
    if not dry_run:
        changes.wait_until_replaced(change)
    return sentences


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


def _plan_import(documents: Documents, keep_others: bool) -> tuple[Change, list[str]]:
    """Return the change, which was rehearsed, and a sentence for each program."""
    present = {program.pk: program for program in Program.objects.order_by("id")}
    wanted = _programs_of(documents)
    named = {program.pk for program in wanted}
    change = Change(
        remove=[] if keep_others else [each for each in present.values() if each.pk not in named],
        change=[(present[program.pk], program) for program in wanted if program.pk in present],
        add=[program for program in wanted if program.pk not in present],
    )
    _rehearse(change)  # which also normalizes the values
    differing = {former.pk: _differences(former, program) for former, program in change.change}
    change.change = [(former, program) for former, program in change.change if differing[former.pk]]
    kept = [each for each in present.values() if not differing.get(each.pk) and each not in change.remove]
    return change, [
        *(f"remove {_named(each)}" for each in change.remove),
        *(f"change {_named(each)}: {differing[each.pk]}" for _, each in change.change),
        *(f"add    {_named(each)}" for each in change.add),
        *(f"keep   {_named(each)}" for each in kept),
    ]


def _rehearse(change: Change) -> None:
    try:
        changes.rehearse(change)
    except InvalidPrograms as invalid:
        raise BackupUnusable(str(invalid)) from invalid


def _programs_of(documents: Documents) -> list[Program]:
    """Return the programs that some documents describe; raise BackupUnusable for an invalid document."""
    programs: list[Program] = []
    ids: set[int] = set()
    for position, document in enumerate(documents, 1):
        try:
            program = program_of(_values_of(document))
        except serializers.ValidationError as problem:
            label = f"Program '{document['name']}'" if document.get("name") else f"Program number {position}"
            raise BackupUnusable(encodable(f"{label}: {_first_sentence(problem)}")) from problem
        if program.pk in ids:
            raise BackupUnusable(f"Program '{program.name}': the ID {program.pk} is in the file twice")
        if program.pk is not None:
            ids.add(program.pk)
        programs.append(program)
    return programs


def _values_of(document: dict[str, Any]) -> dict[str, Any]:
    serializer = ProgramSerializer(data=document)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


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
