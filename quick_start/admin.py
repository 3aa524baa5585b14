"""Admin pages for temporary programs: read-only records, with actions to stop and purge them."""

import time
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from daemon_programs import timestamps
from daemon_programs.admin.base import LiveAdmin, action
from daemon_programs.admin.presentation.badges import badge, process_badge
from daemon_programs.admin.presentation.logs import log_tails
from daemon_programs.admin.records import RecordAdmin
from daemon_programs.exceptions import DaemonError
from daemon_programs.programs import waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import ProgramState
from quick_start import services
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


@admin.register(EphemeralProgram)
class EphemeralProgramAdmin(LiveAdmin, RecordAdmin):
    """Show temporary programs, running and ended."""

    list_display = ["name", "state", "remaining", "result", "created_at"]
    list_filter = [LifeFilter, "user"]
    search_fields = ["name", "temporary_id", "command"]
    ordering = ["-pk"]
    actions = [
        action("stop", "Stopped", "operate", lambda record: services.stop(record.temporary_id)),
        action("purge", "Purged", "purge", lambda record: services.purge(record.temporary_id)),
    ]
    fieldsets = [
        (None, {"fields": ["temporary_id", "created_at", "ttl", "ended_at"]}),
        ("What was launched", {"fields": ["command", "user", "directory", "environment", "autorestart"]}),
        ("Logs", {"fields": ["logs_enabled", "stdout_logfile", "stderr_logfile"]}),
        (
            "More",
            {
                "classes": ["collapse"],
                "fields": [
                    *("delay_seconds", "stop_grace_seconds", "priority", "log_max_bytes", "log_backups"),
                    *("start_seconds", "start_retries", "restart_delay_seconds", "restart_delay_max_seconds"),
                    *("stable_seconds", "restart_limit", "exit_codes"),
                    *("display", "terminal_id", "terminal_shell", "terminal_interactive"),
                    *("stdin", "before_start", "memory_limit_bytes"),
                ],
            },
        ),
    ]

    def has_purge_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may see and delete records."""
        may_delete = request.user.has_perm("quick_start.delete_ephemeralprogram")
        return self.has_view_permission(request) and may_delete

    # The list

    def summary(self, record: EphemeralProgram, state: ProgramState | None) -> SafeString:
        """Return the status as HTML; the final status of a program that has ended."""
        if record.ended_at is not None:
            return badge(record.final_status)
        if state is None:
            return badge("unknown")
        process = statuses.process_state(state, record.group)
        return process_badge(process)

    @admin.display(description="state")
    def state(self, record: EphemeralProgram) -> str:
        """Return the status for the list."""
        return super().state(record) if record.ended_at is None else self.summary(record, None)

    @admin.display(description="remaining")
    def remaining(self, record: EphemeralProgram) -> str | None:
        """Return the rest of the time to live, as in `uptime`; None without one."""
        if record.ended_at is not None or record.expires_at is None:
            return None
        return timestamps.uptime(record.expires_at.timestamp() - time.time())

    @admin.display(description="result")
    def result(self, record: EphemeralProgram) -> str | None:
        """Return how the program ended, as a phrase; None while it runs."""
        if record.ended_at is None:
            return None
        if not (record.error or record.signal) and record.exit_code is None:
            return "it was stopped before it ran"
        return statuses.describe_outcome(
            {"error": record.error, "signal": record.signal, "exit_code": record.exit_code}
        )

    # The page of one record

    def log_stream(self, record: EphemeralProgram) -> str:
        """Return the path of the log's stream."""
        return reverse("launch-log-stream", args=[record.temporary_id])

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render a record's page with its status, logs and buttons."""
        record = kwargs.get("obj")
        if record is not None:
            context["live"] = {**self._live(record), "verbs": self._verbs(request, record)}
        return super().render_change_form(request, context, *args, **kwargs)

    def _live(self, record: EphemeralProgram) -> dict[str, Any]:
        shown = {
            "remaining": self.remaining(record),
            "result": self.result(record),
            "logs": log_tails(record, self.log_stream(record)),
            "badge": self.state(record),
        }
        if record.ended_at is not None:
            return shown
        try:
            state = waiting.state_of(record)
        except DaemonError as problem:
            return {**shown, "problem": str(problem)}
        live = statuses.live_fields(statuses.process_state(state, record.group))
        word = live["status"] if state else "unknown"
        return {**shown, **live, "badge": badge(word), "attach": record.attach_command}

    def _verbs(self, request: HttpRequest, record: EphemeralProgram) -> list[tuple[str, str]]:
        if record.ended_at is None:
            return [("stop", "Stop")] if self.has_operate_permission(request) else []
        return [("purge", "Purge")] if self.has_purge_permission(request) else []
