"""The admin as a console of this host's programs."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

# A page may have asked for states this long before its end is rendered.
_RENDERING = timedelta(seconds=2)
# The order of the apps below the overview: what people look for often comes first.
_APPS = ("daemon_programs", "quick_start", "hoody_site", "auth")


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

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return what all pages need: also the last event that a page surely shows, for its scripts."""
        # A template calls it, on pages of those who may see events.
        return {**super().each_context(request), "last_shown_event": _last_shown_event}

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


def _last_shown_event() -> int:
    # Not at the top either: the app's models are not loaded when the site is made.
    from daemon_programs.models import Event

    shown = Event.objects.filter(at__lt=datetime.now(UTC) - _RENDERING)
    return shown.order_by("-pk").values_list("pk", flat=True).first() or 0


def _rank(label: str) -> int:
    return _APPS.index(label) if label in _APPS else len(_APPS)
