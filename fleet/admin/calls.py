"""The history of a hub in the admin: read-only, newest first."""

from django.contrib import admin
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.times import ago
from daemon_programs.admin.records import RecordAdmin
from fleet.models import HostCall


@admin.register(HostCall)
class HostCallAdmin(RecordAdmin):
    """Who has asked for what on which host."""

    list_display = ["when", "user", "host", "method", "path", "code", "error"]
    list_display_links = ["when"]
    list_filter = ["method", "at"]
    search_fields = ["user", "host", "path"]
    show_full_result_count = False
    fields = ["when", "user", "host", "method", "path", "code", "error"]
    readonly_fields = ["when"]

    @admin.display(description="time", ordering="id")
    def when(self, call: HostCall) -> SafeString:
        """Return how long ago it happened."""
        return ago(call.at)
