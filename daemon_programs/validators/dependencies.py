"""Validate ``depends_on``: its shape, and that no program waits for itself, in however wide a circle."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from daemon_programs.supervisor.probes import CONDITIONS, STARTED
from daemon_programs.text import encodable, printable

MOST_DEPENDENCIES = 32

Dependencies = list[dict[str, str]]


def check_depends_on(dependencies: Any) -> None:
    """Require a list that names programs, each once and with a known condition."""
    if not isinstance(dependencies, list) or not all(isinstance(each, dict) for each in dependencies):
        raise ValidationError("Field 'depends_on' must be a list of objects with program and condition")
    if len(dependencies) > MOST_DEPENDENCIES:
        raise ValidationError(f"Field 'depends_on' must not have more than {MOST_DEPENDENCIES} entries")
    names = [_name_of(each) for each in dependencies]
    for name in names:
        if names.count(name) > 1:
            raise ValidationError(f"Field 'depends_on' names the program '{printable(name)}' twice")


def normalize(dependencies: Dependencies) -> Dependencies | None:
    """Return valid dependencies with all their keys; None if there are none."""
    return [
        {"program": each["program"], "condition": each.get("condition", STARTED)} for each in dependencies
    ] or None


def check_circles(name: str, dependencies: Mapping[str, Dependencies | None]) -> None:
    """Refuse that a program waits for itself. ``dependencies`` are those of all programs, by name."""
    circle = _way(name, name, dependencies)
    if circle:
        shown = " → ".join(circle)
        raise ValidationError(f"Field 'depends_on' would make programs wait for each other: {shown}")


def _way(start: str, end: str, dependencies: Mapping[str, Dependencies | None]) -> list[str] | None:
    """Return the names on a way from a program to one that it depends on; None if there is none."""
    before: dict[str, str] = {}
    to_visit = [start]
    while to_visit:
        name = to_visit.pop()
        for each in dependencies.get(name) or ():
            following = each["program"]
            if following == end:
                way = [end, name]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if following not in before:
                before[following] = name
                to_visit.append(following)
    return None


def _name_of(dependency: dict[str, Any]) -> str:
    for key in dependency:
        if key not in ("program", "condition"):
            raise ValidationError(f"Field 'depends_on' has an unknown key: '{printable(key)}'")
    name = dependency.get("program")
    if not isinstance(name, str) or not name.strip() or "\0" in name or encodable(name) != name:
        raise ValidationError("Field 'depends_on' must name a program in each entry")
    if dependency.get("condition", STARTED) not in CONDITIONS:
        raise ValidationError(f"Field 'depends_on': 'condition' must be one of: {', '.join(CONDITIONS)}")
    return name
