"""Lists of the admin whose rows are a live region: the server renders them again as events come in."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.templatetags.admin_list import result_headers, results
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.utils.text import capfirst


class LiveRows(ChangeList):
    """A page of a list whose rows have keys, so that a row that moves stays selected."""

    problem = ""  # shown above the rows

    @property
    def headers(self) -> list[dict[str, Any]]:
        """Return the heads of the columns."""
        return list(result_headers(self))

    @property
    def keyed_rows(self) -> Iterable[tuple[Any, Any]]:
        """Return each record of the page with the cells of its row."""
        return zip(self.result_list, results(self), strict=True)


class LiveListAdmin(admin.ModelAdmin):
    """An admin whose list is live. Its class of the list is a `LiveRows`."""

    change_list_template = "admin/daemon_programs/live_list/page.html"
    live_scope = ""  # attributes that say which events concern the list, see `console/regions.js`

    def is_list_live(self, cl: LiveRows) -> bool:
        """Return whether a page of the list follows the events."""
        return True

    def get_urls(self) -> list[URLPattern]:
        """Add the address of the rows."""
        rows = path("rows/", self.admin_site.admin_view(self.rows_view), name=self._rows_name)
        return [rows, *super().get_urls()]

    @property
    def _rows_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_rows"

    def rows_view(self, request: HttpRequest) -> HttpResponse:
        """Return the rows of a page of the list, with the same filters in the query."""
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        response: Any = super().changelist_view(request)
        if hasattr(response, "template_name"):  # not a redirect from a query that is not valid
            response.template_name = "admin/daemon_programs/live_list/rows.html"
        return response

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Return the list, with the address of its rows."""
        named = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        response: Any = super().changelist_view(request, named)
        context = getattr(response, "context_data", None) or {}
        if "cl" in context and self.is_list_live(context["cl"]):
            address = reverse(f"admin:{self._rows_name}")
            context["rows_address"] = f"{address}?{request.GET.urlencode()}"
            context["live_scope"] = mark_safe(self.live_scope)  # noqa: S308, a constant of a class
        return response

    def get_preserved_filters(self, request: HttpRequest) -> str:
        """Return the filters that links of the rows carry: those of the list."""
        match = request.resolver_match
        if match and match.url_name == self._rows_name:
            return urlencode({"_changelist_filters": request.GET.urlencode()}) if request.GET else ""
        return super().get_preserved_filters(request)
