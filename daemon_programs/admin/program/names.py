"""The names of programs, for controls that complete what is typed."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import URLPattern, path

from daemon_programs.admin.base import LiveAdmin
from daemon_programs.models import Program

MOST_NAMES = 20


class ProgramNames(LiveAdmin):
    """The address of the names, which `forms/suggestions.js` asks."""

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the names."""
        view = self.admin_site.admin_view(self.names_view)
        return [path("names/", view, name="daemon_programs_program_names"), *super().get_urls()]

    def names_view(self, request: HttpRequest) -> HttpResponse:
        """Return the names of a few programs that contain a text."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = request.GET.get("q", "").replace("\0", "")  # which PostgreSQL refuses, and no name has
        found = Program.objects.filter(name__icontains=text).order_by("name")
        return JsonResponse({"names": list(found.values_list("name", flat=True)[:MOST_NAMES])})
