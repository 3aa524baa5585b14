"""What has happened to a program: its events, with the rounds of a loop as one row, and changes by people."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from daemon_programs.admin.event import change, outcome, requested_by
from daemon_programs.admin.presentation.badges import Severity, badge
from daemon_programs.admin.presentation.times import ago
from daemon_programs.models import Event, Program

_EVENTS_READ = 150  # of which loops become a few rows
_ROWS = 10
_CHANGES = 5
_NO_ROUND = ("", "-")  # digests of what is no round of a loop


def events_of(program: Program) -> dict[str, Any]:
    """Return the template context of a program's last events."""
    events = list(Event.objects.of_program(program.pk).order_by("-id")[:_EVENTS_READ])
    rows = sorted(_rows(events), key=lambda row: row["id"], reverse=True)[:_ROWS]
    page = reverse("admin:daemon_programs_event_changelist")
    return {"rows": rows, "all": f"{page}?{urlencode({'group': program.group})}"}


def changes_of(program: Program, since: float | None) -> dict[str, Any]:
    """Return the template context of what people have changed or done last in the admin.

    ``since`` is when the oldest process of the program was started, if any is there.
    """
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Program), object_id=str(program.pk)
    )
    return {
        "rows": [
            {
                "at": ago(entry.action_time),
                "user": entry.user.get_username(),
                "what": entry.get_change_message() or entry.get_action_flag_display(),
                "is_new": since is not None and entry.action_time.timestamp() > since,
            }
            for entry in entries.select_related("user").order_by("-action_time")[:_CHANGES]
        ],
        "all": reverse("admin:daemon_programs_program_history", args=[program.pk]),
    }


def _rows(events: list[Event]) -> Iterator[dict[str, Any]]:
    """Yield a row for each event, or for all rounds of a loop; ``events`` are those of all processes."""
    by_process = sorted(events, key=lambda event: (event.port or 0, event.instance or 0, -event.pk))
    for _, of_process in groupby(by_process, key=lambda event: (event.port, event.instance)):
        left = list(of_process)  # the newest first
        while left:
            count = left[0].rounds if left[0].round_digest not in _NO_ROUND else 1
            if count > 1:
                newest = left[0]
                round, left = _take_loop(left)
                yield _loop_row(newest, round, count)
            else:
                yield _event_row(left.pop(0))


def _take_loop(events: list[Event]) -> tuple[list[Event], list[Event]]:
    """Return the newest round of a loop that is kept as a whole, and the events before its oldest round."""
    digest = events[0].round_digest
    ends = [place for place, event in enumerate(events) if event.round_digest]
    rounds = [place for place in ends if events[place].round_digest == digest]
    other = next((place for place in ends if events[place].round_digest != digest), len(events))
    places = [*rounds, other]
    whole = 1 if events[0].is_counting and len(rounds) > 1 else 0
    return events[places[whole] : places[whole + 1]], events[other:]


def _event_row(event: Event) -> dict[str, Any]:
    return {**_what(event), "change": change(event), "outcome": outcome(event)}


def _loop_row(newest: Event, round: list[Event], count: int) -> dict[str, Any]:
    """Return the row of a loop: its newest event, and what happens in a round."""
    words = [round[-1].from_state, *(event.state for event in reversed(round))]
    outcomes = [text for event in round if (text := outcome(event))]
    final = badge(words[-1], f"× {count}", Severity.WARNING)
    return {
        **_what(newest),
        "change": format_html("{} → {}", " → ".join(words[:-1]), final),
        "outcome": outcomes[0] if outcomes else "",
    }


def _what(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "url": reverse("admin:daemon_programs_event_change", args=[event.pk]),
        "at": ago(event.at),
        "key": event.key,
        "by": requested_by(event),
    }
