"""``GET programs``: which programs are listed, in which order, and what is shown of each."""

from collections.abc import Callable
from typing import Any

from daemon_programs.api.lists import list_page, with_fields
from daemon_programs.models import Program
from daemon_programs.programs import waiting
from daemon_programs.programs.filters import filter_programs
from daemon_programs.programs.observed import stats, statuses
from daemon_programs.programs.selection import state_of
from daemon_programs.serializers.representation import listed_document
from daemon_programs.supervisor.processes.notes import Owner
from daemon_programs.supervisor.states import ProgramState

Measured = dict[Owner, dict[str, Any]]

_USAGE = {"cpu": "cpu_percent", "memory": "memory_rss_bytes"}  # by sort


def list_programs(query: dict[str, Any]) -> dict[str, Any]:
    """Return the response to a query.

    supervisord is only asked, once, if something needs its answer, and only programs are measured of which
    something is shown, unless the order depends on it.
    """
    fields = query.get("fields", ())
    shows_stats = query.get("include_stats", False) or "stats" in fields
    shows_status = shows_stats or query.get("include_status", False) or "status" in fields
    sort = query.get("sort", "id").removeprefix("-")
    programs = filter_programs(query)
    needs_states = shows_status or "status" in query or sort == "status" or sort in _USAGE
    states = waiting.states() if needs_states else {}
    if "status" in query:
        programs = [
            program for program in programs if state_of(program, states.get(program.group)) in query["status"]
        ]
    measured = _measure(programs, states) if sort in _USAGE else {}
    shown, page = list_page(
        programs, query, id_of=lambda program: program.pk, value_of=_value(sort, states, measured)
    )
    documents = [listed_document(program) for program in shown]
    if shows_status:
        if shows_stats and not measured:
            measured = _measure(shown, states)
        _add_statuses(shown, documents, states, measured if shows_stats else {})
    return {"programs": [with_fields(document, query) for document in documents], **page}


def _value(
    sort: str, states: dict[str, ProgramState], measured: Measured
) -> Callable[[Program], str | float]:
    """Return the function that says what programs are sorted by."""
    if sort == "name":
        return lambda program: program.name.casefold()
    if sort == "status":
        return lambda program: state_of(program, states.get(program.group))
    if sort in _USAGE:
        used = _used(measured, _USAGE[sort])
        return lambda program: used.get(program.group, -1)  # below what runs and uses nothing
    return lambda program: program.pk


def _used(measured: Measured, figure: str) -> dict[str, float]:
    """Return by group what its processes use together."""
    used: dict[str, float] = {}
    for owner, usage in measured.items():
        used[owner.group] = used.get(owner.group, 0) + usage[figure]
    return used


def _measure(programs: list[Program], states: dict[str, ProgramState]) -> Measured:
    return stats.measure({each.group: states[each.group] for each in programs if each.group in states})


def _add_statuses(
    programs: list[Program],
    documents: list[dict[str, Any]],
    states: dict[str, ProgramState],
    measured: Measured,
) -> None:
    """Add ``status`` to documents, and ``stats`` as far as they were measured."""
    for program, document in zip(programs, documents, strict=True):
        document["status"] = statuses.listed_status(program, states.get(program.group))
        if program.keys is not None:
            stats.add_to_instances(program, document["status"]["instances"], measured)
        elif own := measured.get(Owner(program.group, program.group)):
            document["stats"] = own
