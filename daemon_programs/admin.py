"""The operator's desk: programs with their live state, the verbs as actions, and a form that helps.

Everything that changes a program goes the API's way, through ``verbs`` and ``Program.save``; what is
refused becomes a message, in the same words.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse

from daemon_programs import desk, runtime, verbs
from daemon_programs.exceptions import DaemonError, Refused, WaitTimedOut
from daemon_programs.forms import JsonObjectField, PlainText, ProgramForm, fieldsets
from daemon_programs.models import Program
from daemon_programs.transactions import write_transaction

logger = logging.getLogger(__name__)

_FAULTS = (DaemonError, ValidationError, DatabaseError, OSError)
# How long a button waits for what it has started, so that its page tells how that went.
_BUTTON_PATIENCE_SECONDS = 5

Verb = Callable[[Program], object]

_OPERATIONS: dict[str, tuple[Callable[..., object], str]] = {
    "start": (verbs.start_program, "started"),
    "stop": (verbs.stop_program, "stopped"),
    "restart": (verbs.restart_program, "restarted"),
}


def _sentence(problem: Exception) -> str:
    if isinstance(problem, ValidationError):
        return " ".join(problem.messages)
    if isinstance(problem, DaemonError):
        return str(problem)
    logger.error("A change was not made", exc_info=problem)
    return "The state of the daemon can't be written or read at the moment"


def _attempt(request: HttpRequest, program: Program, verb: Verb) -> bool:
    """Do it to one program; if that fails, say so and go on with the next."""
    try:
        verb(program)
    except WaitTimedOut as problem:
        messages.warning(request, f"“{program}”: {problem}")
    except _FAULTS as problem:
        messages.error(request, f"“{program}”: {_sentence(problem)}")
    else:
        return True
    return False


def _action(name: str, done: str, permission: str, verb: Verb) -> Any:
    """An action of the list: one verb for each of the chosen programs, each for itself."""

    @admin.action(description=f"{name.capitalize()} selected programs", permissions=[permission])
    def action(page: "ProgramAdmin", request: HttpRequest, programs: QuerySet[Program]) -> None:
        page.do_to_each(request, programs, verb, done)

    action.__name__ = name
    return action


class HasPortsFilter(admin.SimpleListFilter):
    title = "port range"
    parameter_name = "ports"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Program]) -> QuerySet[Program]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(port_start__isnull=self.value() == "no")


class LiveChangeList(ChangeList):
    """The page of programs, with their states from one call to supervisord."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if request.method != "GET":
            return  # an action; the page that comes after it shows the states
        try:
            states = runtime.states()
        except DaemonError as problem:
            messages.warning(request, f"The states of the programs are unknown: {problem}")
            return
        for program in self.result_list:
            program.live = desk.summary(program, states.get(program.group))


@admin.register(Program)
class ProgramAdmin(admin.ModelAdmin):
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
        _action("start", "Started", "operate", lambda program: verbs.start_program(program, every=True)),
        _action("stop", "Stopped", "operate", lambda program: verbs.stop_program(program, every=True)),
        _action(
            "restart", "Restarted", "operate", lambda program: verbs.restart_program(program, every=True)
        ),
        _action("enable", "Enabled", "change", lambda program: verbs.set_enabled(str(program.pk), True)),
        _action("disable", "Disabled", "change", lambda program: verbs.set_enabled(str(program.pk), False)),
        "delete_selected",
    ]

    class Media:
        css = {"all": ["daemon_programs/admin.css"]}

    # The list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LiveChangeList

    @admin.display(description="state")
    def state(self, program: Program) -> str:
        return getattr(program, "live", desk.badge("unknown"))

    @admin.display(description="ports", ordering="port_start")
    def port_range(self, program: Program) -> str | None:
        return f"{program.port_start}–{program.port_end}" if program.has_ports else None

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm("daemon_programs.operate_program")

    def do_to_each(self, request: HttpRequest, programs: QuerySet[Program], verb: Verb, done: str) -> None:
        """One verb for each program; what was done is said, and stands in the programs' histories."""
        succeeded = [program for program in programs if _attempt(request, program, verb)]
        for program in succeeded:
            self.log_change(request, program, f"{done}.")
        if succeeded:
            messages.success(request, f"{done}: {', '.join(map(str, succeeded))}.")

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
        done = _attempt(request, program, lambda program: verbs.remove_program(str(program.pk)))
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
        except _FAULTS as problem:
            request.problem = _sentence(problem)  # type: ignore[attr-defined]
            return super().changeform_view(request, object_id, form_url, extra_context)
        if object_id and response.status_code == 302:
            self._wait_until_settled(request, object_id)
        return response

    def _wait_until_settled(self, request: HttpRequest, object_id: str) -> None:
        """What ran is restarted, or stopped if it was disabled; the next page shows how that went."""

        def settle(program: Program) -> None:
            runtime.wait_until_settled(program.group, otherwise="it is saved, but still being restarted")

        program = self.get_object(request, unquote(object_id))
        if program is not None:
            _attempt(request, program, settle)

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
            context["live"] = desk.live(stored, _port(request.GET.get("port", "")), may_operate=may_operate)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        operate = path(
            "<path:object_id>/operate/",
            self.admin_site.admin_view(self.operate_view),
            name="daemon_programs_program_operate",
        )
        return [operate, *super().get_urls()]

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

        if _attempt(request, program, operate):
            whom = f"“{program}”" if which == "all" or not program.has_ports else f"“{program}”, port {which}"
            self.log_change(request, program, f"{done.capitalize()}: {whom}.")
            messages.success(request, f"{whom}: {done}.")


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
