"""The list of programs: its columns, filters and actions."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from daemon_programs.admin.base import LiveAdmin, action
from daemon_programs.admin.presentation.badges import program_badge
from daemon_programs.admin.program import operations
from daemon_programs.models import Program
from daemon_programs.programs import services
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.validators.labels import parse_selector


class HasPortsFilter(admin.SimpleListFilter):
    """Filter programs by whether they have a port range."""

    title = "port range"
    parameter_name = "ports"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Program]) -> QuerySet[Program]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(port_start__isnull=self.value() == "no")


class LabelFilter(admin.SimpleListFilter):
    """Filter programs by one of the labels that there are."""

    title = "label"
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        used = {
            f"{key}={value}"
            for labels in Program.objects.exclude(labels={}).values_list("labels", flat=True)
            for key, value in labels.items()
        }
        return [(label, label) for label in sorted(used)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Program]) -> QuerySet[Program]:
        selector = parse_selector(self.value() or "")
        if selector is None:
            return queryset
        labelled = Program.objects.exclude(labels={}).values_list("pk", "labels")
        return queryset.filter(pk__in=[pk for pk, labels in labelled if selector.selects(labels)])


class ProgramList(LiveAdmin):
    """The list of programs, with their states, and the verbs as actions."""

    list_display = ["name", "state", "enabled", "boot", "user", "instances"]
    list_filter = ["enabled", "boot", HasPortsFilter, LabelFilter, "autorestart", "user"]
    search_fields = ["name", "description", "command"]
    actions = [
        action("start", "Started", "operate", lambda program: operations.start(program, all_instances=True)),
        action(
            "stop", "Stopped", "operate", lambda program: services.stop_program(program, all_instances=True)
        ),
        action(
            "restart",
            "Restarted",
            "operate",
            lambda program: services.restart_program(program, all_instances=True),
        ),
        action("enable", "Enabled", "change", lambda program: services.set_enabled(str(program.pk), True)),
        action("disable", "Disabled", "change", lambda program: services.set_enabled(str(program.pk), False)),
        "delete_selected",  # of `ProgramRemoval`
    ]

    def summary(self, program: Program, state: ProgramState | None) -> SafeString:
        return program_badge(program, state)

    @admin.display(description="instances", ordering="port_start")
    def instances(self, program: Program) -> str | None:
        """Return the first and the last port or number."""
        keys = program.keys
        return f"{keys.first}–{keys.last}" if keys else None
