"""The history in the admin: read-only, newest first."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs import timestamps
from daemon_programs.admin.presentation.badges import badge
from daemon_programs.admin.records import RecordAdmin, StateFilter
from daemon_programs.models import Event
from daemon_programs.programs.observed import statuses


class NewStateFilter(StateFilter):
    """Filter events by the state that they led to."""

    title = "new state"
    states = statuses.STATUSES


@admin.register(Event)
class EventAdmin(RecordAdmin):
    """The recorded events."""

    list_display = ["at_milliseconds", "program", "change", "outcome", "requested_by", "pid"]
    list_display_links = ["at_milliseconds"]
    list_filter = [NewStateFilter, "by", "is_gap", "at"]
    search_fields = ["name", "user"]
    show_full_result_count = False
    fields = [
        *("at_milliseconds", "program", "port", "instance", "change", "pid", "exit_code", "signal", "error"),
        *("requested_by", "is_gap"),
    ]

    @admin.display(description="time (UTC)", ordering="at")
    def at_milliseconds(self, event: Event) -> str:
        """Return the time in UTC, to the millisecond."""
        return timestamps.milliseconds(event.at)

    @admin.display(description="program")
    def program(self, event: Event) -> str:
        """Return the name of the program or the instance."""
        return event.display_name

    @admin.display(description="change")
    def change(self, event: Event) -> SafeString:
        """Return the old and the new state."""
        return change(event)

    @admin.display(description="outcome")
    def outcome(self, event: Event) -> str:
        """Return how a run ended."""
        return outcome(event)

    @admin.display(description="by")
    def requested_by(self, event: Event) -> str:
        """Return what caused the change."""
        return requested_by(event)


def change(event: Event) -> SafeString:
    """Return the old state, and the new one as a badge, with the number of rounds of a loop."""
    detail = f"{event.repeated} rounds of a loop" if event.is_counting else ""
    return format_html("{} → {}", event.from_state, badge(event.state, detail))


def outcome(event: Event) -> str:
    """Return how a run ended, or what is not known; empty if no run ended."""
    if event.error or event.signal or event.exit_code is not None:
        return statuses.describe_outcome(
            {"error": event.error, "signal": event.signal, "exit_code": event.exit_code}
        )
    return ""


def requested_by(event: Event) -> str:
    """Return what caused the change, and the user who requested it, if any."""
    return f"{event.by}: {event.user}" if event.user else event.by
