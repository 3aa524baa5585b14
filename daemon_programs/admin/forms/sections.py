"""The sections of a program's form: what matters first comes first, the rest is folded until it is used."""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.models import Field
from django.utils.text import capfirst

from daemon_programs.admin.forms.shapes import JSON_KINDS
from daemon_programs.admin.forms.units import UNITS
from daemon_programs.admin.presentation.values import readable
from daemon_programs.models import Program
from daemon_programs.models.fields import PROGRAM_FIELDS, SECTIONS

Fieldsets = list[tuple[str | None, dict[str, Any]]]

# Within their section these come first, in this order; the others follow in that of the documents.
_FIRST = ("name", "command", "user", "directory", "environment", "enabled", "boot", "autorestart")


def fieldsets(program: Program | None, *, read_only: bool = False) -> Fieldsets:
    """Return the form's fields in sections, some of which are collapsed unless the program uses them.

    With ``read_only``, functions that return them as people read them replace JSON and quantities.
    """
    columns = {column.name: column for column in Program._meta.concrete_fields if column.editable}
    del columns["id"]
    sets: Fieldsets = []
    for heading, introduction, is_collapsible in SECTIONS:
        section = {name: columns.pop(name) for name in _names_in(heading)}
        is_collapsed = is_collapsible and not (program and _differs(program, section.values()))
        shown = as_read(section) if read_only else section
        sets.append((heading, _options(shown, introduction, ["collapse"] if is_collapsed else [])))
    if columns:
        raise ImproperlyConfigured(f"Not in the list of a program's fields: {', '.join(columns)}")
    return sets


def as_read(names: Iterable[str]) -> list[Any]:
    """Return the names of fields; for JSON and quantities functions that return them as they are read."""
    return [_READ_ONLY.get(name, name) for name in names]


def _names_in(heading: str | None) -> list[str]:
    names = [name for field in PROGRAM_FIELDS if field.section == heading for name in field.model_columns]
    return sorted(names, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))


def _options(names: Iterable[Any], description: str, classes: list[str]) -> dict[str, Any]:
    return {"fields": list(names), "description": description, "classes": classes}


def _differs(program: Program, fields: "Iterable[Field[Any, Any]]") -> bool:
    """Return whether a program has another value than the default in any of the fields."""
    return any(field.value_from_object(program) != field.get_default() for field in fields)


def _quantity(name: str, value: int | None) -> str:
    return "-" if value is None else f"{value} {UNITS[name]}"


def _read_only(name: str, show: Callable[[str, Any], str]) -> Callable[[Program], str]:
    """Return a function that Django's admin takes for a read-only field, with its name and help text."""

    def shown(program: Program) -> str:
        return show(name, getattr(program, name))

    shown.__name__ = name
    shown.short_description = capfirst(name.replace("_", " "))  # type: ignore[attr-defined]
    return shown


# Made once: Django looks for the same functions in the sections and among the read-only fields.
_READ_ONLY = {
    **{field.name: _read_only(field.name, readable) for field in PROGRAM_FIELDS if field.kind in JSON_KINDS},
    **{name: _read_only(name, _quantity) for name in UNITS},
}
