"""Represent programs as JSON, for the API and the files for other tools (docs/contract.md, sections 3, 7)."""

from collections.abc import Callable, Iterable
from typing import Any

from daemon_programs.models import Program, SupervisedProgram
from daemon_programs.models.fields import DEFAULT_PORT_PARAM, PROGRAM_FIELDS, ProgramField

_DOCUMENT = "_document"  # where a program keeps it


def program_document(program: Program) -> dict[str, Any]:
    """Return the program without status and stats. Optional values that are not set are left out."""
    return {"id": program.pk, **field_values(program, PROGRAM_FIELDS)}


def listed_document(program: Program) -> dict[str, Any]:
    """Return the document of a program that is only read, made once for it.

    Only what depends on more than its row is looked up each time.
    """
    cached = vars(program).get(_DOCUMENT)
    if cached is None:
        cached = vars(program)[_DOCUMENT] = program_document(program)
    return {**cached, "hoody_kit": program.hoody_kit}


def field_values(program: SupervisedProgram, fields: Iterable[ProgramField]) -> dict[str, Any]:
    """Return values by field name as clients know them. Optional ones that are not set are left out."""
    document = {}
    for field in fields:
        getter = _GETTERS.get(field.name)
        value = getter(program) if getter else getattr(program, field.name)
        if field.nullable and value == "":
            value = None
        if not field.is_left_out(value):
            document[field.name] = value
    return document


def _port_range(program: Any) -> dict[str, int] | None:
    return {"start": program.port_start, "end": program.port_end} if program.has_ports else None


def _port_param(program: Any) -> str | None:
    return (program.port_param or DEFAULT_PORT_PARAM) if program.has_ports else None


def _env_file(program: Any) -> str | list[str] | None:
    paths = program.env_files
    return paths if len(paths) > 1 else next(iter(paths), None)


# Fields whose value in documents is not the attribute of that name.
_GETTERS: dict[str, Callable[[Any], Any]] = {
    "stdout_logfile": lambda program: program.log_path("stdout"),
    "stderr_logfile": lambda program: program.log_path("stderr"),
    "env_file": _env_file,
    "port_range": _port_range,
    "port_param": _port_param,
}
