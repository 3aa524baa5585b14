"""The history in the admin: read-only, newest first, and live."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.admin.live_list import LiveListAdmin, LiveRows
from daemon_programs.admin.presentation.badges import Severity, badge
from daemon_programs.admin.presentation.links import linked, pages_of
from daemon_programs.admin.presentation.loops import folded
from daemon_programs.admin.presentation.times import ago
from daemon_programs.admin.records import RecordAdmin, StateFilter
from daemon_programs.models import Event
from daemon_programs.programs.observed import statuses


class NewStateFilter(StateFilter):
    """Filter events by the state that they led to."""

    title = "new state"
    states = statuses.STATUSES


class EventRows(LiveRows):
    """A page of the history, with loops as one row each, and links to what the events are about."""

    @property
    def is_newest_first(self) -> bool:
        """Return whether the list has its own order."""
        return "o" not in self.params

    def get_results(self, request: HttpRequest) -> None:
        """Find the events of the page."""
        super().get_results(request)
        events = list(self.result_list)
        self.result_list = folded(events) if self.is_newest_first else events
        _find_pages(request, self.result_list)


@admin.register(Event)
class EventAdmin(LiveListAdmin, RecordAdmin):
    """The recorded events."""

    list_display = ["when", "program", "change", "outcome", "requested_by", "pid"]
    list_display_links = ["when"]
    list_filter = [NewStateFilter, "by", "is_gap", "at"]
    search_fields = ["name", "user"]
    show_full_result_count = False
    fields = [
        *("when", "program", "port", "instance", "change", "pid", "exit_code", "signal", "error"),
        *("requested_by", "is_gap"),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return EventRows

    def is_list_live(self, cl: Any) -> bool:
        """Return whether new events would appear on a page: the first one, of any time, not searched."""
        is_of_a_time = any(name.startswith("at__") for name in cl.params)
        return cl.page_num == 1 and cl.is_newest_first and not cl.query and not is_of_a_time

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Event | None:
        """Return an event with the page of its program."""
        event: Event | None = super().get_object(request, object_id, from_field)
        _find_pages(request, [event] if event else [])
        return event

    @admin.display(description="time", ordering="at")
    def when(self, event: Event) -> SafeString:
        """Return how long ago it happened."""
        return ago(event.at)

    @admin.display(description="program")
    def program(self, event: Event) -> SafeString:
        """Return the name of the program or the instance, with a link as long as there is a page."""
        return linked(event.display_name, getattr(event, "page", None))

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


def _find_pages(request: HttpRequest, events: Sequence[Event]) -> None:
    """Set ``page`` of events to that of their program, or None."""
    pages = pages_of(request.user, {event.group for event in events})
    for event in events:
        event.page = pages.get(event.group)  # type: ignore[attr-defined]


def change(event: Event) -> SafeString:
    """Return the old state, and the new one as a badge, with the number of rounds of a loop."""
    times = getattr(event, "times", event.repeated)
    detail = format_html('<span title="{0} rounds of a loop">× {0}</span>', times) if times > 1 else ""
    return format_html("{} → {}", event.from_state, badge(event.state, detail, _severity_of(event)))


def _severity_of(event: Event) -> Severity | None:
    """Return that a run has failed, or None: then the new state says how severe it is."""
    has_failed = bool(event.error or event.signal or event.exit_code)
    return Severity.BAD if event.state == "exited" and has_failed else None


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
