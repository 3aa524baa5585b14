"""The page of one program above its form, and the parts of it that are asked for again."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from daemon_programs.admin import delivery as delivery_admin
from daemon_programs.admin.presentation.instances import rows
from daemon_programs.admin.presentation.live import live
from daemon_programs.admin.presentation.logs import log_tails
from daemon_programs.admin.presentation.processes import process_rows
from daemon_programs.admin.program.activity import changes_of, events_of
from daemon_programs.admin.program.buttons import ProgramButtons
from daemon_programs.admin.program.operations import key_from
from daemon_programs.exceptions import DaemonError
from daemon_programs.models import Program
from daemon_programs.programs import waiting
from daemon_programs.supervisor.instances import Key

_FRAGMENTS = "admin/daemon_programs/program/"


class ProgramPage(ProgramButtons):
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
