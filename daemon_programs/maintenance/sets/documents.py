"""From documents to programs, and what differs between two programs."""

from typing import Any

from daemon_programs.models import Program
from daemon_programs.models.fields import FIELD, WRITABLE_FIELDS
from daemon_programs.serializers.representation import field_values

_LOGS = ("stdout", "stderr")


def program_of(values: dict[str, Any]) -> Program:
    """Return the program that validated values describe."""
    program = Program(**values)
    # Files show the default log paths too. Don't store these: they follow the state folder and the name.
    for stream in _LOGS:
        if getattr(program, f"{stream}_logfile") == program.default_log(stream):
            setattr(program, f"{stream}_logfile", "")
    return program


def document_of(program: Program) -> dict[str, Any]:
    """Return the fields of a program that can be set, as clients know them."""
    return field_values(program, WRITABLE_FIELDS)


def differences(former: Program | None, wanted: Program) -> list[dict[str, Any]]:
    """Return the fields that differ, with both values; of a new program those that are not the default."""
    old = _defaults_of(wanted) if former is None else document_of(former)
    new = document_of(wanted)
    return [
        {
            "field": name,
            "from": None if former is None else _shown(old, name),
            "to": _shown(new, name),
        }
        for name in (field.name for field in WRITABLE_FIELDS)
        if _shown(old, name) != _shown(new, name)
    ]


def _shown(document: dict[str, Any], name: str) -> Any:
    """Return the value of a field, or what it stands for that a document leaves it out."""
    return document.get(name, FIELD[name].default)


def _defaults_of(program: Program) -> dict[str, Any]:
    """Return what a document of a program has of which nothing but the name was given."""
    return {f"{stream}_logfile": program.default_log(stream) for stream in _LOGS} | {"name": program.name}
