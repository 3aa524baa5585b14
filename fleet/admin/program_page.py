"""The page of a program of any host: its state, usage, events, configuration and log, and the verbs."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.forms import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from daemon_programs.admin.live_list import LiveListAdmin
from daemon_programs.admin.presentation.badges import badge
from daemon_programs.admin.presentation.logs import STREAMS
from daemon_programs.admin.presentation.times import ago
from daemon_programs.admin.presentation.values import readable
from daemon_programs.admin.records import RecordAdmin
from daemon_programs.programs.observed import statuses
from daemon_programs.text import to_number
from fleet.admin import verbs
from fleet.admin.ages import host_badge, last_heard, state_badge
from fleet.models import FollowedEvent, FollowedProgram, HostUsage
from fleet.reading.hosts import KnownHost, all_hosts

_EVENTS = 10
_USAGE_KEPT = timedelta(hours=1)  # of single programs
_TEMPLATES = "admin/fleet/followedprogram/"
_LIVE = ("status", "stats")  # of a document: what is no configuration


class FollowedProgramPage(LiveListAdmin, RecordAdmin):
    """The page of a program of a host."""

    needed_to_view = ("fleet.view_host", "daemon_programs.view_program")
    change_form_template = f"{_TEMPLATES}change_form.html"

    class Media:
        css = {"all": [f"daemon_programs/css/{name}.css" for name in ("program", "logs", "ansi", "forms")]}
        js = [Script("daemon_programs/logs/main.js", type="module")]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may see hosts, and what this one runs."""
        return request.user.has_perms(self.needed_to_view)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return none: the page shows the host's own document."""
        return []

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of what is refreshed, of the chart and of the buttons."""
        views: dict[str, Callable[..., HttpResponse]] = {
            "live": self.live_view,
            "usage": self.usage_view,
            "operate": self.operate_view,
        }
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"fleet_followedprogram_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Add what is known of the program."""
        program: FollowedProgram = kwargs["obj"]
        context["live"] = self._live(request, program)
        context["title"] = f"“{program.name}” on {program.host.name}"
        context["subtitle"] = None
        return super().render_change_form(request, context, *args, **kwargs)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Render what is refreshed on the page of a program."""
        try:
            program = self._seen(request, object_id)
        except Http404:
            return TemplateResponse(request, f"{_TEMPLATES}gone.html")
        context = {"live": self._live(request, program), "is_fragment": True}
        return TemplateResponse(request, f"{_TEMPLATES}head.html", context)

    def usage_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Answer with three columns: seconds since the epoch, CPU percent of a core, bytes of memory."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        program = self._seen(request, object_id)
        rows = HostUsage.objects.filter(host=program.host_id, minute__gte=datetime.now(UTC) - _USAGE_KEPT)
        points = [
            (minute.timestamp(), *programs.get(str(program.program_id), (None, None)))
            for minute, programs in rows.order_by("minute").values_list("minute", "programs")
        ]
        columns = [[point[column] for point in points] for column in range(3)]
        return JsonResponse({"seconds": _USAGE_KEPT.total_seconds(), "columns": columns})

    def operate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Handle a button: its name is that of a verb."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_operate_permission(request):
            raise PermissionDenied
        program = self._seen(request, object_id)
        name = next((name for name in verbs.VERBS if name in request.POST), None)
        if name is None:
            raise Http404("The button does not exist")
        result = verbs.operate(program, name, request.user.get_username())
        show = messages.success if result.is_done else messages.error if result.has_failed else messages.info
        show(request, f"“{program.name}” on {program.host.name}: {result.sentence}.")
        return redirect(reverse("admin:fleet_followedprogram_change", args=[program.pk]))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may start, stop and restart programs of hosts."""
        needed = ("fleet.operate_host", "daemon_programs.operate_program")
        return self.has_view_permission(request) and request.user.has_perms(needed)

    def _seen(self, request: HttpRequest, object_id: str) -> FollowedProgram:
        """Return the program of an address, if the user may view it; raise Http404 if there is none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        program: FollowedProgram | None = self.get_object(request, unquote(object_id))
        if program is None:
            raise Http404("The program does not exist, or not any more")
        return program

    def _live(self, request: HttpRequest, program: FollowedProgram) -> dict[str, Any]:
        """Return the template context of the page; it takes no request to the host."""
        host = next((host for host in all_hosts() if host.id == program.host_id), None)
        if host is None:
            raise Http404("The host does not exist any more")
        status = program.document.get("status") or {}
        key = _chosen_key(request, program)
        programs = reverse("admin:fleet_followedprogram_changelist")
        return {
            "program": program,
            "host": host,
            "host_badge": host_badge(host),
            "host_programs": f"{programs}?{urlencode({'host': host.name})}",
            "last_heard": last_heard(host),
            "badge": state_badge(program.state, host),
            "title": f"{program.state} · {program.name} on {host.name} | {self.admin_site.site_title}",
            "status": status,
            "instances": status.get("instances"),
            "key": key,
            "verbs": verbs.fitting(program) if self.has_operate_permission(request) else [],
            "address": f"{reverse('admin:fleet_followedprogram_live', args=[program.pk])}?{urlencode(key)}",
            "usage": reverse("admin:fleet_followedprogram_usage", args=[program.pk]),
            "logs": _logs(program, host, key),
            "events": _events(program) if request.user.has_perm("daemon_programs.view_event") else None,
            "configuration": readable(
                "program", {name: value for name, value in program.document.items() if name not in _LIVE}
            ),
        }


def _chosen_key(request: HttpRequest, program: FollowedProgram) -> dict[str, Any]:
    """Return the instance whose log is shown, as a query: the chosen one, or the first; none without."""
    document = program.document
    ports, count = document.get("port_range"), document.get("numprocs", 1)
    if not ports and count == 1:
        return {}
    name, first = ("port", ports["start"]) if ports else ("instance", 0)
    running = (document.get("status") or {}).get("instances") or []
    chosen = to_number(request.GET.get(name, ""), max_digits=9)
    return {name: chosen if chosen is not None else running[0].get(name, first) if running else first}


def _logs(program: FollowedProgram, host: KnownHost, key: dict[str, Any]) -> dict[str, Any]:
    """Return the template context of ``logs.html``. The log is read from the host, through this hub."""
    api = reverse("programs").removesuffix("programs")
    stream = f"{api}hosts/{host.name}{api}programs/{program.program_id}/logs/stream"
    return {
        "streams": [
            {
                "stream": name,
                "file": program.document.get(f"{name}_logfile", ""),
                "is_rotated": False,
                "live": f"{stream}?{urlencode({'type': name, **key})}",
                "problem": f"It is on {host.name}, and read from there.",
            }
            for name in STREAMS
        ],
    }


def _events(program: FollowedProgram) -> list[dict[str, Any]]:
    events = FollowedEvent.objects.filter(host=program.host_id, program_id=program.program_id)
    return [_event_row(event) for event in events.order_by("-pk")[:_EVENTS]]


def _event_row(event: FollowedEvent) -> dict[str, Any]:
    told = event.document
    ended: Any = {name: told.get(name) for name in ("error", "signal", "exit_code")}
    has_ended = any(each is not None for each in ended.values())
    user = told.get("user")
    return {
        "id": event.pk,
        "at": ago(event.at),
        "key": told.get("port", told.get("instance")),
        "change": _change(told, event.state),
        "outcome": statuses.describe_outcome(ended) if has_ended else "",
        "by": f"{told.get('by')}: {user}" if user else told.get("by"),
    }


def _change(told: dict[str, Any], state: str) -> SafeString:
    return format_html("{} → {}", told.get("from_state", ""), badge(state))
