"""The page of one program above its form: what it shows, and its buttons."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from daemon_programs.admin import delivery as delivery_admin
from daemon_programs.admin.base import LiveAdmin, attempt
from daemon_programs.admin.presentation.instances import rows, span
from daemon_programs.admin.presentation.live import live
from daemon_programs.admin.presentation.logs import log_tails
from daemon_programs.admin.presentation.processes import process_rows
from daemon_programs.admin.program.activity import changes_of, events_of
from daemon_programs.admin.program.operations import (
    OPERATIONS,
    WAITING,
    key_from,
    kind_of,
    operate_selected,
)
from daemon_programs.admin.program.starts import explain
from daemon_programs.exceptions import DaemonError, Refused
from daemon_programs.models import Program
from daemon_programs.programs import selected, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.instances import Key

_FRAGMENTS = "admin/daemon_programs/program/"


class ProgramPage(LiveAdmin):
    """The live part of a program's page."""

    class Media:
        css = {"all": ["daemon_programs/css/tiles.css"]}
        js = [Script(f"daemon_programs/console/{name}.js", type="module") for name in ("fragments", "tiles")]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add the live section, as far as the user may see it."""
        program = kwargs.get("obj")
        # `program` may have values that were typed and refused.
        stored = program and Program.objects.filter(pk=program.pk).first()
        if stored:
            context["live"] = self._live(request, stored)
            key = context["live"]["key"]
            context["live"]["logs"] = log_tails(stored, reverse("program-log-stream", args=[stored.pk]), key)
        return super().render_change_form(request, context, *args, **kwargs)

    def _live(self, request: HttpRequest, program: Program) -> dict[str, Any]:
        """Return the template context of what is refreshed."""
        may_change = self.has_change_permission(request, program)
        shown = live(program, may_operate=self.has_operate_permission(request), may_change=may_change)
        key = _chosen_key(request, program, shown)
        address = reverse("admin:daemon_programs_program_live", args=[program.pk])
        shown |= {
            "key": key,
            "address": f"{address}?{urlencode({key.kind.name: key.value})}" if key else address,
            "title": f"{shown['title']} · {program} | {self.admin_site.site_title}",
            "changes": changes_of(program, shown.get("since")),
        }
        if request.user.has_perm("daemon_programs.view_event"):
            shown["events"] = events_of(program)
        if request.user.has_perm("daemon_programs.view_delivery"):
            shown["webhooks"] = delivery_admin.summary_for_program(program, may_change=may_change)
        return shown

    # The addresses

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons and of the parts that are refreshed or shown on demand."""
        views: dict[str, Callable[..., HttpResponse]] = {
            "live": self.live_view,
            "processes": self.processes_view,
            "instances": self.instances_view,
            "operate": self.operate_view,
            "webhook-secret": partial(delivery_admin.rotate_secret_view, self),
        }
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"daemon_programs_program_{name.replace('-', '_')}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Render what is refreshed on the page of a program."""
        program = self._seen(request, object_id)
        if program is None:
            return self._gone(request)
        shown = self._live(request, program)
        return TemplateResponse(request, f"{_FRAGMENTS}head.html", {"live": shown, "is_fragment": True})

    def processes_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Render the process trees of a program."""
        program = self._seen(request, object_id)
        if program is None:
            return self._gone(request)
        return TemplateResponse(request, f"{_FRAGMENTS}processes.html", process_rows(program))

    def instances_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Render the table of the instances that are not stopped."""
        program = self._seen(request, object_id)
        if program is None:
            return self._gone(request)
        may_operate = self.has_operate_permission(request) and program.enabled
        try:
            found = rows(program, waiting.state_of(program), may_operate=may_operate)
        except DaemonError as problem:
            return HttpResponse(str(problem), content_type="text/plain")
        shown = {"program": program, "instances": found, "key": None}
        return TemplateResponse(request, f"{_FRAGMENTS}instances.html", {"live": shown})

    def _seen(self, request: HttpRequest, object_id: str) -> Program | None:
        """Return the program of an address if the user may view it; None if there is none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self.get_object(request, unquote(object_id))

    def _gone(self, request: HttpRequest) -> HttpResponse:
        """Tell a page that is still open that its program is not there any more."""
        return TemplateResponse(request, f"{_FRAGMENTS}gone.html")

    # The buttons

    def operate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Handle a button: its name is that of an operation, its value a key, ``all`` or ``selected``."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        name = next((name for name in OPERATIONS if name in request.POST), None)
        permission = OPERATIONS[name].permission if name else "operate"
        if not (self.has_operate_permission if permission == "operate" else self.has_change_permission)(
            request
        ):
            raise PermissionDenied
        program = self.get_object(request, unquote(object_id))
        if program is None or name is None:
            return HttpResponseBadRequest("The program or the button does not exist")
        target = request.POST[name]
        if target == "selected":
            self._operate_selected(request, program, name)
        elif name == "signal":
            self._signal(request, program)
        elif permission == "change":
            self._switch(request, program, name)
        else:
            self._operate(request, program, name, target)
        page = reverse("admin:daemon_programs_program_change", args=[program.pk])
        key = key_from(program, target)
        return redirect(f"{page}?{key.kind.name}={key.value}" if key else page)

    def _operate(self, request: HttpRequest, program: Program, name: str, target: str) -> None:
        operation = OPERATIONS[name]
        key = key_from(program, target)
        wait = {"wait": True} if name in WAITING else {}

        def operate(program: Program) -> None:
            if target not in ("", "all") and key is None:
                raise Refused(f"The {kind_of(program).name} must be a number")
            operation.verb(program, key=key, all_instances=target == "all", **wait)

        label = _label(program, key)
        if attempt(request, program, operate, label):
            self.log_change(request, program, f"{operation.done.capitalize()}: {label}.")
            messages.success(request, f"{label}: {operation.done}.")

    def _switch(self, request: HttpRequest, program: Program, name: str) -> None:
        """Enable or disable a program."""
        operation = OPERATIONS[name]
        if attempt(request, program, operation.verb):
            self.log_change(request, program, f"{operation.done.capitalize()}.")
            messages.success(request, f"“{program}”: {operation.done}.")

    def _signal(self, request: HttpRequest, program: Program) -> None:
        """Send the chosen signal to all that runs of a program."""
        name = request.POST.get("signal_name", "")
        if attempt(request, program, lambda program: OPERATIONS["signal"].verb(program, name)):
            self.log_change(request, program, f"SIG{name} sent.")
            messages.success(request, f"“{program}”: SIG{name} sent.")

    def _operate_selected(self, request: HttpRequest, program: Program, name: str) -> None:
        """Do a verb to the selected instances, with one message about all of them."""
        results: list[selected.Result] = []

        def operate(program: Program) -> None:
            keys = {key_from(program, text) for text in request.POST.getlist("key")}
            if None in keys:
                raise Refused(f"The {kind_of(program).name} must be a number")
            chosen = sorted(key for key in keys if key)
            results.append(operate_selected(program, name, chosen))

        if not attempt(request, program, operate):
            return
        (result,) = results
        done = OPERATIONS[name].done
        if result.done:
            what = f"{kind_of(program).name}s {span(result.done)}"
            self.log_change(request, program, f"{done.capitalize()}: {what}.")
        show = messages.warning if result.unsuccessful else messages.success if result.done else messages.info
        show(request, f"“{program}”: {_summary(program, name, result)}.")


def _summary(program: Program, name: str, result: selected.Result) -> str:
    """Return what has become of selected instances: "3 started, 1 ran already"."""
    parts = []
    if result.done or not (result.skipped or result.unsuccessful):
        parts.append(f"{len(result.done)} {OPERATIONS[name].done}")
    if result.skipped:
        parts.append(f"{len(result.skipped)} {'ran already' if name == 'start' else 'did not run'}")
    if result.unsuccessful:
        first = result.unsuccessful[0]
        why = explain(program, statuses.process_state(result.state, first.process))
        parts.append(f"{len(result.unsuccessful)} not {OPERATIONS[name].done} ({first.value} {why})")
    return ", ".join(parts)


def _label(program: Program, key: Key | None) -> str:
    return f"“{program}”, {key.kind.name} {key.value}" if key else f"“{program}”"


def _chosen_key(request: HttpRequest, program: Program, shown: dict[str, Any]) -> Key | None:
    """Return the key of the instance whose logs are shown: the chosen one, or the first that runs."""
    keys = program.keys
    if keys is None:
        return None
    key = key_from(program, request.GET.get(keys.kind.name, ""))
    if key is not None and key in keys:
        return key
    first: Key = shown["instances"][0]["key"] if shown.get("instances") else next(iter(keys))
    return first
