"""The filters of ``GET programs`` (contract, section 3)."""

from typing import Any

from daemon_programs.models import Program


def filter_programs(filters: dict[str, Any]) -> list[Program]:
    """The programs, in id order, that all of the given filters let through."""
    programs = Program.objects.order_by("id")
    for field in ("lazy_load", "enabled", "boot", "name"):
        if field in filters:
            programs = programs.filter(**{field: filters[field]})
    if "port" in filters:
        programs = programs.filter(port_start__lte=filters["port"], port_end__gte=filters["port"])
    if "port_from" in filters:
        programs = programs.filter(port_start__lte=filters["port_to"], port_end__gte=filters["port_from"])
    found = list(programs)
    if "hoody_kit" in filters:  # a matter of folders and links, not of columns
        found = [program for program in found if program.hoody_kit is filters["hoody_kit"]]
    return found
