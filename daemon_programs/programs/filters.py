"""Filter programs as ``GET programs`` does (docs/contract.md, section 3)."""

from collections.abc import Iterable, Iterator
from typing import Any

from daemon_programs.models import Program
from daemon_programs.models.rows import rows

_ATTRIBUTES = ("lazy_load", "enabled", "boot", "name", "user")
_SEARCHED = ("name", "command", "description")


def filter_programs(filters: dict[str, Any]) -> list[Program]:
    """Return the programs that match all of the given filters, in id order. They are only to be read."""
    given = {name: filters[name] for name in _ATTRIBUTES if name in filters}
    ranges = list(_port_ranges(filters))
    selectors = filters.get("label", ())
    text = filters.get("q")
    found = [
        program
        for program in rows.all()
        if all(getattr(program, name) == value for name, value in given.items())
        and all(_overlaps(program, first, last) for first, last in ranges)
        and all(selector.selects(program.labels) for selector in selectors)
        and (text is None or has_text(program, text, _SEARCHED))
    ]
    if "hoody_kit" in filters:  # it depends on folders and links
        found = [program for program in found if program.hoody_kit is filters["hoody_kit"]]
    return found


def has_text(program: Any, text: str, attributes: Iterable[str]) -> bool:
    """Return whether any of the attributes has a text, in any letter case."""
    wanted = text.casefold()
    return any(wanted in getattr(program, name).casefold() for name in attributes)


def _port_ranges(filters: dict[str, Any]) -> Iterator[tuple[int, int]]:
    if "port" in filters:
        yield filters["port"], filters["port"]
    if "port_from" in filters:
        yield filters["port_from"], filters["port_to"]


def _overlaps(program: Program, first: int, last: int) -> bool:
    if program.port_start is None or program.port_end is None:
        return False
    return program.port_start <= last and program.port_end >= first
