"""The list of temporary programs, newest first, whose rows are live."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.admin.base import LiveAdmin, action
from daemon_programs.admin.live_list import LiveListAdmin, LiveRows
from daemon_programs.admin.presentation.badges import badge
from daemon_programs.admin.presentation.times import ago, until
from daemon_programs.exceptions import DaemonError
from daemon_programs.programs import waiting
from daemon_programs.programs.observed import statuses
from quick_start import services
from quick_start.admin.outcomes import ended_badge, live_badge, outcome
from quick_start.models import EphemeralProgram


class LifeFilter(admin.SimpleListFilter):
    """Filter the list by whether the program has ended."""

    title = "lifecycle"
    parameter_name = "life"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the values of the filter with their labels."""
        return [("live", "Live"), ("ended", "Ended")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[EphemeralProgram]
    ) -> QuerySet[EphemeralProgram]:
        """Return the records that the filter selects."""
        if self.value() not in ("live", "ended"):
            return queryset
        return queryset.filter(ended_at__isnull=self.value() == "live")


class TemporaryChangeList(LiveRows):
    """A page of the list, with the states of its programs from one call to supervisord."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the records of the page, and set ``live`` of each that has not ended to its state."""
        super().get_results(request)
        # Evaluated here: the rows are to be those whose states are set.
        self.result_list = list(self.result_list)
        records = [record for record in self.result_list if record.ended_at is None]
        if not records or request.method != "GET":
            return
        try:
            states = waiting.states()
        except DaemonError as problem:
            self.problem = f"The states of the programs are unknown: {problem}"
            return
        for record in records:
            state = states.get(record.group)
            if state is not None:
                record.live = live_badge(statuses.process_state(state, record.group))


class TemporaryList(LiveListAdmin, LiveAdmin):
    """The list of temporary programs, running and ended."""

    list_display = ["title", "state", "remaining", "result", "launched"]
    list_display_links = ["title"]
    list_filter = [LifeFilter, "user"]
    search_fields = ["name", "temporary_id", "command"]
    ordering = ["-pk"]
    live_scope = 'data-live-temporary="any"'
    actions = [
        action("stop", "Stopped", "operate", lambda record: services.stop(record.temporary_id)),
        action("purge", "Purged", "purge", lambda record: services.purge(record.temporary_id)),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return TemporaryChangeList

    @admin.display(description="name", ordering="name")
    def title(self, record: EphemeralProgram) -> SafeString:
        """Return the name, which may be of another direction of writing."""
        return format_html("<bdi>{}</bdi>", record.name)

    @admin.display(description="state")
    def state(self, record: EphemeralProgram) -> str:
        """Return the status; the final one of a program that has ended."""
        return ended_badge(record) if record.ended_at else getattr(record, "live", badge("unknown"))

    @admin.display(description="stops in")
    def remaining(self, record: EphemeralProgram) -> str | None:
        """Return the rest of the time to live; None without one."""
        return until(record.expires_at) if record.expires_at and record.ended_at is None else None

    @admin.display(description="result")
    def result(self, record: EphemeralProgram) -> str:
        """Return how the program ended; empty while it runs."""
        return outcome(record)

    @admin.display(description="launched", ordering="created_at")
    def launched(self, record: EphemeralProgram) -> SafeString:
        """Return how long ago it was launched."""
        return ago(record.created_at)

    @admin.display(description="ended")
    def ended(self, record: EphemeralProgram) -> SafeString | None:
        """Return how long ago it has ended; None while it runs."""
        return ago(record.ended_at) if record.ended_at else None
