"""The history on the operator's desk: to look at, newest first."""

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from daemon_programs import timestamps
from daemon_programs.admin import presentation
from daemon_programs.admin.records import RecordAdmin, StateFilter
from daemon_programs.models import Event, Program
from daemon_programs.programs import statuses

_SHOWN_BESIDE_A_PROGRAM = 10


class NewStateFilter(StateFilter):
    title = "new state"
    states = statuses.STATUSES


@admin.register(Event)
class EventAdmin(RecordAdmin):
    list_display = ["at_milliseconds", "program", "change", "outcome", "asked_by", "pid"]
    list_display_links = ["at_milliseconds"]
    list_filter = [NewStateFilter, "by", "is_gap", "at"]
    search_fields = ["name", "user"]
    show_full_result_count = False
    fields = [
        *("at_milliseconds", "program", "port", "change", "pid", "exit_code", "signal", "error"),
        *("asked_by", "is_gap"),
    ]

    class Media:
        css = {"all": ["daemon_programs/admin.css"]}

    @admin.display(description="time (UTC)", ordering="at")
    def at_milliseconds(self, event: Event) -> str:
        return timestamps.milliseconds(event.at)

    @admin.display(description="program")
    def program(self, event: Event) -> str:
        return whom(event)

    @admin.display(description="change")
    def change(self, event: Event) -> SafeString:
        return change(event)

    @admin.display(description="outcome")
    def outcome(self, event: Event) -> str:
        return outcome(event)

    @admin.display(description="by")
    def asked_by(self, event: Event) -> str:
        return asked_by(event)


def whom(event: Event) -> str:
    return event.name if event.port is None else f"{event.name}_{event.port}"


def change(event: Event) -> SafeString:
    return format_html("{} → {}", event.from_state, presentation.badge(event.state))


def outcome(event: Event) -> str:
    """How a run ended, or what is not known."""
    if event.error or event.signal or event.exit_code is not None:
        return statuses.why_it_ended(
            {"error": event.error, "signal": event.signal, "exit_code": event.exit_code}
        )
    return ""


def asked_by(event: Event) -> str:
    return f"{event.by}: {event.user}" if event.user else event.by


def beside(program: Program) -> dict[str, Any]:
    """The last events of a program, for its own page."""
    rows = [
        {
            "at": timestamps.milliseconds(event.at),
            "port": event.port,
            "change": change(event),
            "outcome": outcome(event),
            "by": asked_by(event),
        }
        for event in Event.objects.of_program(program.pk).order_by("-id")[:_SHOWN_BESIDE_A_PROGRAM]
    ]
    page = reverse("admin:daemon_programs_event_changelist")
    return {"rows": rows, "all": f"{page}?{urlencode({'group': program.group})}"}
