"""Programs in the admin: the list with live states, the verbs as actions and buttons, and the form.

All changes go through ``programs.services`` and ``Program.save``, as those of the API do. An error becomes
a message with the same sentence.
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
from daemon_programs.admin.base import REPORTED_ERRORS, LiveAdmin, NothingToDo, action, attempt, error_message
from daemon_programs.admin.forms import JsonField, PlainText, ProgramForm, fieldsets
from daemon_programs.admin.presentation.badges import program_badge
from daemon_programs.admin.presentation.live import live
from daemon_programs.exceptions import Refused
from daemon_programs.models import Program
from daemon_programs.programs import services, signalling, waiting
from daemon_programs.supervisor.instances import PORT, Key, KeyKind
from daemon_programs.supervisor.processes.signals import SIGNALS
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.text import to_number
from daemon_programs.transactions import write_transaction
from daemon_programs.validators.labels import parse_selector

# How long a button waits for a start, so that the next page shows the result.
_BUTTON_TIMEOUT_SECONDS = 5


def _start(program: Program, **options: Any) -> None:
    """Start a program or instances of it; raise NothingToDo if they run already."""
    result = services.start_program(program, if_not_running=True, **options)
    if result["already_running"]:
        raise NothingToDo("runs already")


_OPERATIONS: dict[str, tuple[Callable[..., object], str]] = {
    "start": (_start, "started"),
    "stop": (services.stop_program, "stopped"),
    "restart": (services.restart_program, "restarted"),
    "reload": (signalling.reload_program, "reloaded"),
}
_WAITING = ("start", "restart")  # for the end of what they have begun, if they are told to


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


@admin.register(Program)
class ProgramAdmin(LiveAdmin):
    """The list and the form of programs."""

    form = ProgramForm
    formfield_overrides = {
        models.CharField: {"strip": False},
        models.TextField: {"strip": False, "widget": PlainText},
        models.JSONField: {
            "form_class": JsonField,
            "show_hidden_initial": False,
        },
    }
    list_display = ["name", "state", "enabled", "boot", "user", "instances"]
    list_filter = ["enabled", "boot", HasPortsFilter, LabelFilter, "autorestart", "user"]
    search_fields = ["name", "description", "command"]
    actions = [
        action("start", "Started", "operate", lambda program: _start(program, all_instances=True)),
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
        "delete_selected",
    ]

    # The list

    def summary(self, program: Program, state: ProgramState | None) -> SafeString:
        return program_badge(program, state)

    @admin.display(description="instances", ordering="port_start")
    def instances(self, program: Program) -> str | None:
        """Return the first and the last port or number."""
        keys = program.keys
        return f"{keys.first}–{keys.last}" if keys else None

    @admin.action(description="Delete selected programs", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, programs: QuerySet[Program]) -> HttpResponse | None:
        """Let Django's action ask for confirmation, then stop and delete each program."""
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
        """Return the sections of the form."""
        return fieldsets(obj)

    def get_form(
        self, request: HttpRequest, obj: Program | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form's class, with the error that the request has met, if any."""
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
        """Save a program and apply it to supervisord, or show the form again if either fails."""
        if request.method != "POST":
            return super().changeform_view(request, object_id, form_url, extra_context)
        try:
            with write_transaction():
                response = super().changeform_view(request, object_id, form_url, extra_context)
        except REPORTED_ERRORS as problem:
            request.problem = error_message(problem)  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)
        if object_id and response.status_code == 302:
            self._wait_until_settled(request, object_id)
        return response

    def _wait_until_settled(self, request: HttpRequest, object_id: str) -> None:
        """Wait until supervisord has applied the change, so that the next page shows the result."""

        def settle(program: Program) -> None:
            waiting.wait_until_settled(program, timeout_message="it is saved, but still being restarted")

        program = self.get_object(request, unquote(object_id))
        if program is not None:
            attempt(request, program, settle)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Ask for confirmation, then stop and delete the program."""
        program = self.get_object(request, unquote(object_id))
        if request.method != "POST" or not program or not self.has_delete_permission(request, program):
            return super().delete_view(request, object_id, extra_context)
        if self._remove(request, program):
            return self.response_delete(request, str(program), program.pk)
        return redirect("admin:daemon_programs_program_changelist")

    # The live section above the form

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the live section, the last events and the deliveries, as far as the user may see them."""
        program = kwargs.get("obj")
        # `program` may have values that were typed and refused.
        stored = program and Program.objects.filter(pk=program.pk).first()
        if stored:
            may_operate = self.has_operate_permission(request)
            key = _key(stored, request.GET.get(_kind(stored).name, ""))
            context["live"] = live(stored, key, may_operate=may_operate)
            if request.user.has_perm("daemon_programs.view_event"):
                context["live"]["events"] = event_admin.summary_for_program(stored)
            if request.user.has_perm("daemon_programs.view_delivery"):
                may_change = self.has_change_permission(request, stored)
                context["live"]["webhooks"] = delivery_admin.summary_for_program(
                    stored, may_change=may_change
                )
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons."""
        operate = path(
            "<path:object_id>/operate/",
            self.admin_site.admin_view(self.operate_view),
            name="daemon_programs_program_operate",
        )
        rotate_secret = path(
            "<path:object_id>/webhook-secret/",
            self.admin_site.admin_view(partial(delivery_admin.rotate_secret_view, self)),
            name="daemon_programs_program_webhook_secret",
        )
        return [operate, rotate_secret, *super().get_urls()]

    def operate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Handle a button: its name is that of an operation, its value a key or ``all``."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_operate_permission(request):
            raise PermissionDenied
        program = self.get_object(request, unquote(object_id))
        name = next((name for name in (*_OPERATIONS, "signal") if name in request.POST), None)
        if program is None or name is None:
            return HttpResponseBadRequest("The program or the button does not exist")
        if name == "signal":
            self._signal(request, program)
        else:
            self._operate(request, program, name, request.POST[name])
        page = reverse("admin:daemon_programs_program_change", args=[program.pk])
        key = _key(program, request.POST[name])
        return redirect(f"{page}?{key.kind.name}={key.value}" if key else page)

    def _operate(self, request: HttpRequest, program: Program, name: str, target: str) -> None:
        verb, done = _OPERATIONS[name]
        key = _key(program, target)
        wait = {"wait": True, "timeout": _BUTTON_TIMEOUT_SECONDS} if name in _WAITING else {}

        def operate(program: Program) -> None:
            if target not in ("", "all") and key is None:
                raise Refused(f"The {_kind(program).name} must be a number")
            verb(program, key=key, all_instances=target == "all", **wait)

        if attempt(request, program, operate):
            label = f"“{program}”, {key.kind.name} {key.value}" if key else f"“{program}”"
            self.log_change(request, program, f"{done.capitalize()}: {label}.")
            messages.success(request, f"{label}: {done}.")

    def _signal(self, request: HttpRequest, program: Program) -> None:
        """Send the chosen signal to all that runs of a program."""
        name = request.POST.get("signal_name", "")

        def signal(program: Program) -> None:
            if name not in SIGNALS:
                raise Refused("The signal does not exist")
            signalling.signal_program(program, name, all_instances=True)

        if attempt(request, program, signal):
            self.log_change(request, program, f"SIG{name} sent.")
            messages.success(request, f"“{program}”: SIG{name} sent.")


def _kind(program: Program) -> KeyKind:
    return program.keys.kind if program.keys else PORT


def _key(program: Program, text: str) -> Key | None:
    value = to_number(text, max_digits=9)
    return None if value is None else Key(_kind(program), value)
