"""What the overview shows, as far as its reader may see it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.http import urlencode

from daemon_programs.admin.event import change, outcome, requested_by
from daemon_programs.admin.presentation.badges import badge, process_badge
from daemon_programs.admin.presentation.times import ago
from daemon_programs.exceptions import DaemonError
from daemon_programs.history.restarts import flapping
from daemon_programs.models import Event, Program
from daemon_programs.models.rows import rows
from daemon_programs.programs import waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import States
from fleet.reading.hosts import KnownHost
from hoody_site.console.overview import host, hosts, problems
from quick_start.models import EphemeralProgram

_PROBLEMS_SHOWN = 30
_EVENTS_SHOWN = 12
_TEMPORARY_SHOWN = 10

Reader = User | AnonymousUser


def context(reader: Reader) -> dict[str, Any]:
    """Return the template context of the overview. It takes one call to supervisord."""
    shown: dict[str, Any] = {}
    report: States | None = None
    if reader.has_perm("daemon_programs.view_program"):
        try:
            report = waiting.report()
        except DaemonError as problem:
            shown["problem"] = str(problem)
        programs = rows.all()
        others = hosts.known() if reader.has_perm("fleet.view_host") else []
        shown |= _programs(programs, report)
        shown |= _problems(reader, programs, report, others)
        if others:
            shown["hosts"] = hosts.table(others)
        shown["host"] = host.figures()
        if reader.has_perm("daemon_programs.view_event"):
            shown["events"] = _events(programs)
    if reader.has_perm("quick_start.view_ephemeralprogram"):
        shown["temporary"] = _temporary(report)
    return shown


def _programs(programs: Sequence[Program], report: States | None) -> dict[str, Any]:
    """Return how many programs there are in each state, each with the list of those."""
    states = report["programs"] if report else {}
    words = Counter(
        statuses.program_status(program, states.get(program.group))["status"] if report else "unknown"
        for program in programs
        if program.enabled
    )
    page = reverse("admin:daemon_programs_program_changelist")
    counts = [
        {"badge": badge(word), "count": words[word], "url": f"{page}?{urlencode({'state': word})}"}
        for word in statuses.STATUSES
        if words[word]
    ]
    if disabled := len(programs) - words.total():
        counts.append({"badge": badge("disabled"), "count": disabled, "url": f"{page}?enabled__exact=0"})
    return {"counts": counts, "total": len(programs), "programs_url": page}


def _problems(
    reader: Reader, programs: Sequence[Program], report: States | None, others: Sequence[KnownHost]
) -> dict[str, Any]:
    found: list[problems.Problem] = []
    if report:
        found += problems.of_stack(report)
        found += problems.of_programs(programs, report["programs"], flapping())
    if reader.has_perm("daemon_programs.view_delivery"):
        found += problems.of_deliveries()
    found += host.problems()
    found += hosts.problems(others)
    return {
        "problems": problems.sort(found)[:_PROBLEMS_SHOWN],
        "problem_count": len(found),
        "more_problems": max(len(found) - _PROBLEMS_SHOWN, 0),
    }


def _events(programs: Sequence[Program]) -> list[dict[str, Any]]:
    existing = {program.pk for program in programs}
    return [
        {
            "at": ago(event.at),
            "name": event.display_name,
            "url": _page_of(event, existing),
            "change": change(event),
            "outcome": outcome(event),
            "by": requested_by(event),
        }
        for event in Event.objects.order_by("-id")[:_EVENTS_SHOWN]
    ]


def _page_of(event: Event, existing: set[int]) -> str:
    """Return the page of an event's program; empty if that is gone, or was temporary."""
    if event.program_id not in existing:
        return ""
    return reverse("admin:daemon_programs_program_change", args=[event.program_id])


def _temporary(report: States | None) -> dict[str, Any]:
    """Return the temporary programs that run, the first to expire first."""
    live = EphemeralProgram.objects.live()
    states = report["programs"] if report else {}
    ordered = sorted(live, key=_expiry)
    shown = [
        {
            "name": record.name,
            "url": reverse("admin:quick_start_ephemeralprogram_change", args=[record.pk]),
            "badge": process_badge(statuses.process_state(states.get(record.group), record.group)),
            "stops": ago(record.expires_at) if record.expires_at else "",
        }
        for record in ordered[:_TEMPORARY_SHOWN]
    ]
    page = reverse("admin:quick_start_ephemeralprogram_changelist")
    return {"rows": shown, "count": len(ordered), "url": f"{page}?life=live"}


def _expiry(record: EphemeralProgram) -> float:
    return record.expires_at.timestamp() if record.expires_at else float("inf")
