"""The operator's desk: programs with their live state, the verbs as actions, and a form that helps.

Everything that changes a program goes the API's way, through ``verbs`` and ``Program.save``; what is
refused becomes a message, in the same words.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from daemon_programs.admin import delivery as delivery_admin
from daemon_programs.admin import event as event_admin
from daemon_programs.admin import presentation
from daemon_programs.admin.base import FAULTS, LiveAdmin, action, attempt, sentence_of
from daemon_programs.admin.forms import JsonObjectField, PlainText, ProgramForm, fieldsets
from daemon_programs.exceptions import Refused
from daemon_programs.models import Program
from daemon_programs.programs import services, waiting
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.text import to_number
from daemon_programs.transactions import write_transaction

# How long a button waits for what it has started, so that its page tells how that went.
_BUTTON_PATIENCE_SECONDS = 5

_OPERATIONS: dict[str, tuple[Callable[..., object], str]] = {
    "start": (services.start_program, "started"),
    "stop": (services.stop_program, "stopped"),
    "restart": (services.restart_program, "restarted"),
}


class HasPortsFilter(admin.SimpleListFilter):
    title = "port range"
    parameter_name = "ports"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Program]) -> QuerySet[Program]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(port_start__isnull=self.value() == "no")


@admin.register(Program)
class ProgramAdmin(LiveAdmin):
    form = ProgramForm
    formfield_overrides = {
        models.CharField: {"strip": False},
        models.TextField: {"strip": False, "widget": PlainText},
        models.JSONField: {
            "form_class": JsonObjectField,
            "widget": PlainText,
            "show_hidden_initial": False,
        },
    }
    list_display = ["name", "state", "enabled", "boot", "user", "port_range"]
    list_filter = ["enabled", "boot", HasPortsFilter, "autorestart", "user"]
    search_fields = ["name", "description", "command"]
    actions = [
        action("start", "Started", "operate", lambda program: services.start_program(program, every=True)),
        action("stop", "Stopped", "operate", lambda program: services.stop_program(program, every=True)),
        action(
            "restart", "Restarted", "operate", lambda program: services.restart_program(program, every=True)
        ),
        action("enable", "Enabled", "change", lambda program: services.set_enabled(str(program.pk), True)),
        action("disable", "Disabled", "change", lambda program: services.set_enabled(str(program.pk), False)),
        "delete_selected",
    ]

    # The list

    def summary(self, program: Program, state: ProgramState | None) -> SafeString:
        return presentation.summary(program, state)

    @admin.display(description="ports", ordering="port_start")
    def port_range(self, program: Program) -> str | None:
        return f"{program.port_start}–{program.port_end}" if program.has_ports else None

    @admin.action(description="Delete selected programs", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, programs: QuerySet[Program]) -> HttpResponse | None:
        """Django's own asks whether one is sure; then each is stopped, whole trees, and removed."""
        if not request.POST.get("post"):
            return delete_selected(self, request, programs)
        removed = [program for program in programs if self._remove(request, program)]
        if removed:
            messages.success(request, f"Deleted: {', '.join(map(str, removed))}.")
        return None

    def _remove(self, request: HttpRequest, program: Program) -> bool:
        done = attempt(request, program, lambda program: services.remove_program(str(program.pk)))
        if done:
            self.log_deletions(request, [program])  # type: ignore[arg-type]  # as Django does
        return done

    # The form

    def get_fieldsets(self, request: HttpRequest, obj: Program | None = None) -> Any:
        return fieldsets(obj)

    def get_form(
        self, request: HttpRequest, obj: Program | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.problem = getattr(request, "problem", "")
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Save and bring into supervisord, or neither: then the form stays as it was filled in."""
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with write_transaction():
                response = super().changeform_view(request, object_id, form_url, extra_context)
        except FAULTS as problem:
            request.problem = sentence_of(problem)  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)
        if object_id and response.status_code == 302:
            self._wait_until_settled(request, object_id)
        return response

    def _wait_until_settled(self, request: HttpRequest, object_id: str) -> None:
        """What ran is restarted, or stopped if it was disabled; the next page shows how that went."""

        def settle(program: Program) -> None:
            waiting.wait_until_settled(program, otherwise="it is saved, but still being restarted")

        program = self.get_object(request, unquote(object_id))
        if program is not None:
            attempt(request, program, settle)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        program = self.get_object(request, unquote(object_id))
        if request.method != "POST" or not program or not self.has_delete_permission(request, program):
            return super().delete_view(request, object_id, extra_context)
        if self._remove(request, program):
            return self.response_delete(request, str(program), program.pk)
        return redirect("admin:daemon_programs_program_changelist")

    # What runs, above the form

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        program = kwargs.get("obj")
        stored = program and Program.objects.filter(pk=program.pk).first()  # not what was typed and refused
        if stored:
            may_operate = self.has_operate_permission(request)
            context["live"] = presentation.live(
                stored, _port(request.GET.get("port", "")), may_operate=may_operate
            )
            if request.user.has_perm("daemon_programs.view_event"):
                context["live"]["events"] = event_admin.beside(stored)
            if request.user.has_perm("daemon_programs.view_delivery"):
                may_change = self.has_change_permission(request, stored)
                context["live"]["webhooks"] = delivery_admin.beside(stored, may_change=may_change)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        operate = path(
            "<path:object_id>/operate/",
            self.admin_site.admin_view(self.operate_view),
            name="daemon_programs_program_operate",
        )
        new_secret = path(
            "<path:object_id>/webhook-secret/",
            self.admin_site.admin_view(partial(delivery_admin.new_secret_view, self)),
            name="daemon_programs_program_webhook_secret",
        )
        return [operate, new_secret, *super().get_urls()]

    def operate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A button: ``start``, ``stop`` or ``restart``, whose value is a port, or ``all``."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_operate_permission(request):
            raise PermissionDenied
        program = self.get_object(request, unquote(object_id))
        name = next((name for name in _OPERATIONS if name in request.POST), None)
        if program is None or name is None:
            return HttpResponseBadRequest("There is no such program, or no such button")
        self._operate(request, program, name, request.POST[name])
        page = reverse("admin:daemon_programs_program_change", args=[program.pk])
        port = _port(request.POST[name])
        return redirect(f"{page}?port={port}" if port else page)

    def _operate(self, request: HttpRequest, program: Program, name: str, which: str) -> None:
        verb, done = _OPERATIONS[name]
        wait = {} if name == "stop" else {"wait": True, "timeout": _BUTTON_PATIENCE_SECONDS}

        def operate(program: Program) -> None:
            if which not in ("", "all") and _port(which) is None:
                raise Refused("The port must be a number")
            verb(program, port=_port(which), every=which == "all", **wait)

        if attempt(request, program, operate):
            whom = f"“{program}”" if which == "all" or not program.has_ports else f"“{program}”, port {which}"
            self.log_change(request, program, f"{done.capitalize()}: {whom}.")
            messages.success(request, f"{whom}: {done}.")


def _port(text: str) -> int | None:
    return to_number(text, most_digits=9)
