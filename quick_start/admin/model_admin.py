"""Temporary programs in the admin: the list, the page of a record, and the form that launches one."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from daemon_programs.admin.forms.sections import as_read
from daemon_programs.admin.records import RecordAdmin
from quick_start.admin.changelist import TemporaryList
from quick_start.admin.launch import LaunchAdmin, fieldsets
from quick_start.admin.page import TemporaryPage
from quick_start.models import EphemeralProgram


@admin.register(EphemeralProgram)
class EphemeralProgramAdmin(LaunchAdmin, TemporaryPage, TemporaryList, RecordAdmin):
    """The list and the pages of temporary programs, whose records can't be changed."""

    def get_fieldsets(self, request: HttpRequest, obj: EphemeralProgram | None = None) -> Any:
        """Return the form of a launch in sections; of a record, what it was launched with."""
        if obj is None:
            return fieldsets(self.record_to_repeat(request))
        (_, first), *others = fieldsets(obj)
        launched = [name for name in first["fields"] if name not in ("name", "ttl")]
        return [
            (None, {"fields": ["temporary_id", "launched", "ttl", *(["ended"] if obj.ended_at else [])]}),
            ("What was launched", {"fields": as_read(launched)}),
            *((heading, {**shown, "fields": as_read(shown["fields"])}) for heading, shown in others),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: EphemeralProgram | None = None) -> list[str]:
        """Return what a record shows beside its fields."""
        return [] if obj is None else ["temporary_id", "launched", "ended"]
