"""The verbs of the list: with one program by its button, with many as an action, in parts by a script."""

from dataclasses import asdict
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseNotAllowed,
    JsonResponse,
)
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from daemon_programs.admin.base import LiveAdmin
from daemon_programs.admin.program import summary
from daemon_programs.admin.program.changelist import Live
from daemon_programs.models import Program
from daemon_programs.programs import batch
from daemon_programs.programs.batch import Outcome, Result
from daemon_programs.programs.observed import statuses
from daemon_programs.text import to_number

# By verb: its past participle, and the permission that it takes.
VERBS = {
    "start": ("started", "operate"),
    "stop": ("stopped", "operate"),
    "restart": ("restarted", "operate"),
    "enable": ("enabled", "change"),
    "disable": ("disabled", "change"),
}
_MOST_AT_ONCE = 1000  # programs in one request of a script, which sends far fewer


def _action(verb: str) -> Any:
    """Return the action of the list that calls a verb with all selected programs."""

    @admin.action(description=f"{verb.capitalize()} selected programs", permissions=[VERBS[verb][1]])
    def run(model_admin: "ProgramBatches", request: HttpRequest, programs: QuerySet[Program]) -> None:
        done = VERBS[verb][0]
        summary.show(request, model_admin.run_batch(request, verb, list(programs)), done)

    run.__name__ = verb
    return run


class ProgramBatches(LiveAdmin):
    """The verbs as actions and as buttons of the rows."""

    actions = [*map(_action, VERBS), "delete_selected"]  # of `ProgramRemoval`

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the buttons and of the script."""
        prefix = "daemon_programs_program_"
        batch_view = path("batch/", self.admin_site.admin_view(self.batch_view), name=f"{prefix}batch")
        ids_view = path("ids/", self.admin_site.admin_view(self.ids_view), name=f"{prefix}ids")
        return [batch_view, ids_view, *super().get_urls()]

    def run_batch(self, request: HttpRequest, verb: str, programs: list[Program]) -> list[Result]:
        """Call a verb with programs, and log what has changed something."""
        results = batch.run(verb, programs)
        changed = [result.program for result in results if result.outcome is Outcome.DONE]
        if changed:
            text = f"{VERBS[verb][0].capitalize()}."
            LogEntry.objects.log_actions(cast("int", request.user.pk), changed, CHANGE, text)
        return results

    def batch_view(self, request: HttpRequest) -> HttpResponse:
        """Call a verb with the programs that a button or a script names.

        A script gets the results as JSON, in groups. A form gets the list again, with a message.
        """
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        verb = request.POST.get("verb", "")
        if verb not in VERBS:
            return HttpResponseBadRequest("The verb does not exist")
        done, permission = VERBS[verb]
        if not getattr(self, f"has_{permission}_permission")(request):
            raise PermissionDenied
        given = request.POST.getlist("id") + request.GET.getlist("id")
        ids = [id for text in given[:_MOST_AT_ONCE] if (id := to_number(text)) is not None]
        results = self.run_batch(request, verb, list(self.get_queryset(request).filter(pk__in=ids)))
        if request.accepts("text/html"):
            summary.show(request, results, done)
            return redirect(self._list_of(request))
        return JsonResponse({"groups": [asdict(group) for group in summary.groups_of(results, done)]})

    def ids_view(self, request: HttpRequest) -> HttpResponse:
        """Return the ids of all programs that the list's address selects, on all its pages."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        programs = self.get_changelist_instance(request).queryset
        return JsonResponse({"ids": list(programs.values_list("pk", flat=True))})

    def add_verbs(self, request: HttpRequest, program: Any) -> None:
        """Note with a program of the list which verbs fit its state, and where they are sent to."""
        live: Live = program.live
        query = {"id": program.pk, "list": request.GET.urlencode()}
        live.address = f"{reverse('admin:daemon_programs_program_batch')}?{urlencode(query)}"
        may = {name: getattr(self, f"has_{name}_permission")(request) for name in ("operate", "change")}
        live.verbs = [verb for verb in _fitting(program, live) if may[VERBS[verb][1]]]

    def _list_of(self, request: HttpRequest) -> str:
        page = reverse("admin:daemon_programs_program_changelist")
        return f"{page}?{query}" if (query := request.GET.get("list", "")) else page


def _fitting(program: Program, live: Live) -> list[str]:
    """Return the verbs that fit a program's state."""
    if not program.enabled:
        return ["enable"]
    word = statuses.program_status(program, live.state)["status"]
    if word == "running":
        running = statuses.count_running(statuses.list_instances(program, live.state))
        is_partial = program.keys is not None and running < len(program.keys)
        return ["start", "restart", "stop"] if is_partial else ["restart", "stop"]
    return {"starting": ["stop"], "backoff": ["restart", "stop"], "stopping": []}.get(word, ["start"])
