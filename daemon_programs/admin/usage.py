"""The usage of a program over the last hour or day, as its chart asks for it (``console/charts.js``)."""

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseNotAllowed,
    JsonResponse,
)

from daemon_programs.programs.observed import samples

_SECONDS = {"hour": 3600, "day": 86400}


def usage_view(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Answer with three columns: seconds since the epoch, CPU percent of a core, bytes of memory."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    program = model_admin.get_object(request, unquote(object_id))
    if not model_admin.has_view_permission(request, program):
        raise PermissionDenied
    span: Any = request.GET.get("span", "hour")
    if span not in _SECONDS:
        return HttpResponseBadRequest("The span must be hour or day")
    # A page may still be open when its program is removed: it gets nothing, rather than an error.
    points = samples.history(program.group, span) if program else []
    columns = [[point[column] for point in points] for column in range(3)]
    return JsonResponse({"seconds": _SECONDS[span], "columns": columns})
