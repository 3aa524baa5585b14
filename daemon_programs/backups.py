"""Whole sets of programs, in files: the defaults, ``reset``, export and import (contract, section 7).

A set is validated whole before anything is changed: programs are created in one transaction that is
rolled back, then in one that counts.
"""

import json
import os
import pwd
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from rest_framework import serializers

from daemon_programs import mirror
from daemon_programs.exceptions import BackupUnusable
from daemon_programs.files import replace_text
from daemon_programs.models import Program
from daemon_programs.serializers import ProgramSerializer

_NO_DEFAULTS = "Default programs file (programs.default.json) is missing or corrupt"


def read_documents(file: Path) -> list[dict[str, Any]]:
    """The program objects of a file, ``{"programs": […]}`` or a bare list; BackupUnusable otherwise."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BackupUnusable(f"{file} can't be read: {problem}") from problem
    documents = content.get("programs") if isinstance(content, dict) else content
    if not isinstance(documents, list) or not all(isinstance(each, dict) for each in documents):
        raise BackupUnusable(f"{file} holds no list of programs")
    return documents


def create(documents: list[dict[str, Any]]) -> list[Program]:
    """Make programs of documents, in a transaction of the caller; BackupUnusable names the first bad one."""
    programs = []
    for number, document in enumerate(documents, 1):
        try:
            program = _program_of(document)
            program.full_clean()
        except (ValidationError, serializers.ValidationError) as problem:
            name = document.get("name") or f"number {number}"
            raise BackupUnusable(f"Program {name!r}: {_first_sentence(problem)}") from problem
        program.save(force_insert=True)
        programs.append(program)
    return programs


def as_own_user(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The shipped examples for a stack that doesn't run as root: it runs programs as itself only."""
    own = pwd.getpwuid(os.geteuid()).pw_name
    return [{**document, "user": own} for document in documents]


def write_snapshot(programs: list[Program]) -> None:
    """Keep a set as the one that ``reset`` goes back to."""
    replace_text(Path(settings.DEFAULT_PROGRAMS_FILE), mirror.text_of(programs))


def read_defaults() -> list[dict[str, Any]]:
    """The documents of the snapshot that ``reset`` goes back to."""
    try:
        return read_documents(Path(settings.DEFAULT_PROGRAMS_FILE))
    except BackupUnusable as problem:
        raise BackupUnusable(_NO_DEFAULTS) from problem


def _program_of(document: dict[str, Any]) -> Program:
    serializer = ProgramSerializer(data=document)
    serializer.is_valid(raise_exception=True)
    program = Program(**serializer.validated_data)
    # An effective default path, as the files show it, is no choice: it moves with the state folder.
    for stream in ("stdout", "stderr"):
        if getattr(program, f"{stream}_logfile") == program.default_log(stream):
            setattr(program, f"{stream}_logfile", "")
    return program


def _first_sentence(problem: ValidationError | serializers.ValidationError) -> str:
    if isinstance(problem, ValidationError):
        return problem.messages[0]
    detail: Any = problem.detail
    while not isinstance(detail, str):
        detail = next(iter(detail.values())) if isinstance(detail, dict) else detail[0]
    return str(detail)
