"""A program as JSON, for the API and for the files of other tools (docs/contract.md, sections 3 and 7)."""

from collections.abc import Callable, Iterable
from typing import Any

from daemon_programs.models import Program, SupervisedProgram
from daemon_programs.models.fields import PROGRAM_FIELDS, ProgramField

DEFAULT_PORT_PARAM = "--port"


def program_document(program: Program) -> dict[str, Any]:
    """Return the program without status and stats. Optional values that aren't set are left out."""
    return {"id": program.pk, **field_values(program, PROGRAM_FIELDS)}


def field_values(program: SupervisedProgram, fields: Iterable[ProgramField]) -> dict[str, Any]:
    """Return the values of some fields by name, as clients know them; those that are unset are left out."""
    values = {field.name: _value(program, field) for field in fields}
    return {name: value for name, value in values.items() if value is not None}


def _value(program: SupervisedProgram, field: ProgramField) -> Any:
    if field.name in _READ:
        return _READ[field.name](program)
    value = getattr(program, field.name)
    return None if field.nullable and value == "" else value


def _port_range(program: Any) -> dict[str, int] | None:
    return {"start": program.port_start, "end": program.port_end} if program.has_ports else None


def _port_param(program: Any) -> str | None:
    return (program.port_param or DEFAULT_PORT_PARAM) if program.has_ports else None


# Fields whose value for clients is not what a column of that name holds.
_READ: dict[str, Callable[[Any], Any]] = {
    "stdout_logfile": lambda program: program.log_path("stdout"),
    "stderr_logfile": lambda program: program.log_path("stderr"),
    "port_range": _port_range,
    "port_param": _port_param,
}
