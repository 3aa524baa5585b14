"""Filter programs as ``GET programs`` does (docs/contract.md, section 3)."""

from typing import Any

from daemon_programs.models import Program
from daemon_programs.models.rows import rows

_COLUMNS = ("lazy_load", "enabled", "boot", "name")


def filter_programs(filters: dict[str, Any]) -> list[Program]:
    """Return the programs that match all of the given filters, in id order. They are only to be read."""
    by_column = {field: filters[field] for field in _COLUMNS if field in filters}
    programs = Program.objects.order_by("id").filter(**by_column)
    if "port" in filters:
        programs = programs.filter(port_start__lte=filters["port"], port_end__gte=filters["port"])
    if "port_from" in filters:
        programs = programs.filter(port_start__lte=filters["port_to"], port_end__gte=filters["port_from"])
    found = list(programs) if programs.query.where else rows.all()
    if "hoody_kit" in filters:  # not a column: it depends on folders and links
        found = [program for program in found if program.hoody_kit is filters["hoody_kit"]]
    for selector in filters.get("label", ()):
        found = [program for program in found if selector.selects(program.labels)]
    return found
