"""The logs of a program at addresses of their own: a page, older lines for its viewer, and a copy to keep.

They ask for the permission that the API asks for: to view the program.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from daemon_programs.admin.presentation.logs import STREAMS, log_tails
from daemon_programs.exceptions import DaemonError
from daemon_programs.logs.cursor import Cursor
from daemon_programs.logs.earlier import Copy, earlier
from daemon_programs.programs import waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.instances import Key
from daemon_programs.text import to_number

_BOTH = "both"
_LINES_WITHOUT_SCRIPTS = 500
_EARLIER_LINES = 2000


class LogPages(admin.ModelAdmin):
    """An admin whose records have logs: programs, and temporary programs."""

    def log_stream(self, program: Any) -> str:
        """Return the path of the program's log stream in the API."""
        return reverse("program-log-stream", args=[program.pk])

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the logs."""
        pages = {
            "log": ("log/", self.log_view),
            "log_earlier": ("log/earlier/", self.log_earlier_view),
            "log_download": ("log/download/", self.log_download_view),
        }
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        added = [
            path(
                f"<path:object_id>/{route}",
                self.admin_site.admin_view(require_safe(view)),
                name=f"{prefix}_{name}",
            )
            for name, (route, view) in pages.items()
        ]
        return [*added, *super().get_urls()]

    def log_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show both logs, or the one that the query names as ``stream``."""
        program = self._viewed(request, object_id)
        key = _key(program, request, or_running=True)
        shown = request.GET.get("stream")
        shown = shown if shown in STREAMS else _BOTH
        logs = log_tails(program, self.log_stream(program), key, lines=_LINES_WITHOUT_SCRIPTS)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": program,
            "title": f"Log of “{program}”",
            "subtitle": None,
            "keys": getattr(program, "keys", None),
            "key": key,
            "logs": {**logs, "shown": shown, "is_page": True},
            "choices": [_BOTH, *STREAMS],
            "media": self.media,
        }
        return TemplateResponse(request, "admin/daemon_programs/log_page.html", context)

    def log_earlier_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the lines before a position, which is the id of an event of the log's stream."""
        program = self._viewed(request, object_id)
        stream = request.GET.get("stream", "")
        try:
            before = Cursor.parse(request.GET.get("before", ""))
        except ValueError:
            before = None
        if stream not in STREAMS or before is None:
            return HttpResponseBadRequest("The stream or the position does not exist")
        try:
            file = program.log_path(stream, _key(program, request))
            found = earlier(file, program.user, before, _EARLIER_LINES)
        except (DaemonError, OSError) as problem:
            return JsonResponse({"error": _sentence(problem)}, status=409)
        return JsonResponse({"lines": found.lines, "before": found.before and str(found.before)})

    def log_download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Return a log as a file of plain text, what was rotated included."""
        program = self._viewed(request, object_id)
        stream = request.GET.get("stream", "")
        if stream not in STREAMS:
            return HttpResponseBadRequest("The stream does not exist")
        key = _key(program, request)
        try:
            content = Copy(program.log_path(stream, key), program.user)
        except (DaemonError, OSError) as problem:
            return HttpResponse(_sentence(problem), status=409, content_type="text/plain; charset=utf-8")
        name = "-".join([str(program), *([] if key is None else [str(key.value)]), f"{stream}.log"])
        headers = {"Content-Disposition": str(content_disposition_header(True, name))}
        return StreamingHttpResponse(content, content_type="text/plain; charset=utf-8", headers=headers)

    def _viewed(self, request: HttpRequest, object_id: str) -> Any:
        """Return the program; raise PermissionDenied if the user may not see it, and Http404 without one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        program = self.get_object(request, unquote(object_id))
        if program is None:
            raise Http404("The program does not exist")
        return program


def _sentence(problem: DaemonError | OSError) -> str:
    if isinstance(problem, DaemonError):
        return f"{problem}."
    return f"The log can't be read: {(problem.strerror or str(problem)).lower()}."


def _key(program: Any, request: HttpRequest, *, or_running: bool = False) -> Key | None:
    """Return the instance that the query names, or else the first one: with ``or_running``, that runs."""
    keys = getattr(program, "keys", None)
    if keys is None:
        return None
    number = to_number(request.GET.get(keys.kind.name, ""), max_digits=9)
    if number is not None and Key(keys.kind, number) in keys:
        return Key(keys.kind, number)
    return (_first_running(program) if or_running else None) or next(iter(keys))


def _first_running(program: Any) -> Key | None:
    try:
        instances = statuses.list_instances(program, waiting.state_of(program))
    except DaemonError:
        return None
    return statuses.key_in(instances[0]) if instances else None
