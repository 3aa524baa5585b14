"""The admin as a console of this host's programs."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

# The order of the apps below the overview: what people look for often comes first.
_APPS = ("daemon_programs", "quick_start", "fleet", "hoody_site", "auth")


class ConsoleSite(AdminSite):
    """The admin site of the project. Its first page is the overview."""

    site_header = "Daemon API"
    site_title = "Daemon API"
    index_title = "Overview"
    index_template = "admin/overview/index.html"

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Add the address of the overview's live region."""
        fragment = path("overview/", self.admin_view(self.overview), name="overview")
        return [fragment, *super().get_urls()]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Return the first page."""
        return super().index(request, {**_overview(request), **(extra_context or {})})

    def overview(self, request: HttpRequest) -> HttpResponse:
        """Return the content of the overview, for the page that is open."""
        return TemplateResponse(request, "admin/overview/content.html", _overview(request))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the apps in the order of the console; the queue's tables are the last."""
        apps = super().get_app_list(request, app_label)
        return sorted(apps, key=lambda app: _rank(app["app_label"]))


def _overview(request: HttpRequest) -> dict[str, Any]:
    # Not at the top: what it imports registers pages with this site.
    from hoody_site.console.overview import page

    return {"overview": page.context(request.user)}


def _rank(label: str) -> int:
    return _APPS.index(label) if label in _APPS else len(_APPS)
