"""The page of one temporary program: its live part, its buttons, and what follows from a run."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from daemon_programs.admin.base import LiveAdmin, attempt
from daemon_programs.admin.presentation.badges import badge, severity_of
from daemon_programs.admin.presentation.logs import log_tails
from daemon_programs.admin.presentation.times import since, until
from daemon_programs.exceptions import DaemonError
from daemon_programs.models import Program
from daemon_programs.programs import waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import ProcessState
from quick_start import lifecycle, services
from quick_start.admin.outcomes import ended_badge, outcome
from quick_start.admin.values import GONE, as_program
from quick_start.models import EphemeralProgram

# By the name of a button: what it does, and the past participle for the message.
_VERBS = {"stop": (services.stop, "Stopped"), "purge": (services.purge, "Purged")}


class TemporaryPage(LiveAdmin):
    """The live part of a temporary program's page."""

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the live part, of the buttons, and of the form of a program to keep."""
        views = {"live": self.live_view, "operate": self.operate_view, "keep": self.keep_view}
        return [
            *(
                path(
                    f"<path:object_id>/{name}/",
                    self.admin_site.admin_view(view),
                    name=f"quick_start_ephemeralprogram_{name}",
                )
                for name, view in views.items()
            ),
            *super().get_urls(),
        ]

    def has_purge_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may see and delete records."""
        may_delete = request.user.has_perm("quick_start.delete_ephemeralprogram")
        return self.has_view_permission(request) and may_delete

    def log_stream(self, record: EphemeralProgram) -> str:
        """Return the path of the log's stream."""
        return reverse("launch-log-stream", args=[record.temporary_id])

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Render a record's page with its state, buttons and logs."""
        record = kwargs.get("obj")
        if record is not None:
            context["live"] = self._live(request, record)
            context["logs"] = log_tails(record, self.log_stream(record))
        return super().render_change_form(request, context, *args, **kwargs)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the live part, for the page that is open."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        record = self._record(request, object_id)
        context = {
            "live": self._live(request, record),
            "original": record,
            "site_title": self.admin_site.site_title,
        }
        return TemplateResponse(request, "admin/quick_start/ephemeralprogram/live.html", context)

    def operate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Handle a button, which has the name of a verb."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        record = self._record(request, object_id)
        name = request.POST.get("action", "")
        may = {"stop": self.has_operate_permission, "purge": self.has_purge_permission}
        if name not in _VERBS:
            raise Http404("There is no such button.")
        if not may[name](request):
            raise PermissionDenied
        verb, done = _VERBS[name]
        is_done = attempt(request, record, lambda record: verb(record.temporary_id))
        if is_done:
            self.log_change(request, record, f"{done}.")
            messages.success(request, f"{done}: {record}.")
        if is_done and name == "purge":
            return redirect("admin:quick_start_ephemeralprogram_changelist")
        return redirect("admin:quick_start_ephemeralprogram_change", record.pk)

    def keep_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the form of a new program, filled in from the record, whose values are in no address."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        record = self._record(request, object_id)
        programs: Any = self.admin_site.get_model_admin(Program)
        return programs.add_view_from(request, as_program(record))

    def _record(self, request: HttpRequest, object_id: str) -> EphemeralProgram:
        """Return the record if the user may view it; raise PermissionDenied or Http404."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        record: EphemeralProgram | None = self.get_object(request, unquote(object_id))
        if record is None:
            raise Http404(GONE)
        return record

    def _live(self, request: HttpRequest, record: EphemeralProgram) -> dict[str, Any]:
        """Return the template context of the live part."""
        shown: dict[str, Any] = {"process": {}}
        if record.ended_at is None:
            try:
                state = waiting.state_of(record)
            except DaemonError as problem:
                shown |= {"problem": str(problem), "word": "unknown", "badge": badge("unknown")}
            else:
                # The program may have ended already, before its event has been handled.
                if lifecycle.is_over(state):
                    record = lifecycle.completed(record, state)
                else:
                    shown |= _running(record, statuses.process_state(state, record.group))
        if record.ended_at is not None:
            shown |= {
                "word": record.final_status,
                "badge": ended_badge(record),
                "outcome": outcome(record),
            }
        return {**shown, **self._verbs(request, record), "title": f"{shown['word']} · {record.name}"}

    def _verbs(self, request: HttpRequest, record: EphemeralProgram) -> dict[str, Any]:
        """Return the buttons and links that fit the state and that the user may use."""
        if record.ended_at is None:
            return {"verbs": [("stop", "Stop")] if self.has_operate_permission(request) else []}
        programs = self.admin_site.get_model_admin(Program)
        return {
            "verbs": [("purge", "Purge")] if self.has_purge_permission(request) else [],
            "may_run_again": self.has_add_permission(request),
            "may_keep": programs.has_add_permission(request),
        }


def _running(record: EphemeralProgram, process: ProcessState) -> dict[str, Any]:
    """Return what is shown of a program that has not ended."""
    word = statuses.status_of(process)
    shown: dict[str, Any] = {"word": word, "badge": badge(word, "", severity_of(process))}
    if process.get("pid"):
        shown |= {
            "pid": process["pid"],
            "since": since(process["started_at"]),
            "attach": record.attach_command,
        }
    if record.expires_at:
        shown["until"] = until(record.expires_at)
    return {**shown, **statuses.restarts(process)}
