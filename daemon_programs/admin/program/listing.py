"""The list of programs: its columns and filters, and its rows as they change."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Case, Value, When
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from daemon_programs.admin.presentation.badges import badge
from daemon_programs.admin.presentation.sparklines import sparkline
from daemon_programs.admin.presentation.standings import describe
from daemon_programs.admin.program.batches import ProgramBatches
from daemon_programs.admin.program.changelist import ProgramChangeList
from daemon_programs.admin.program.filters import HasPortsFilter, LabelFilter, StandingFilter
from daemon_programs.models import Program
from daemon_programs.text import to_number

_MOST_ROWS = 100  # of one request
_NOTHING = mark_safe('<span class="nothing">–</span>')
_START = Case(When(enabled=False, then=Value(0)), When(boot=True, then=Value(2)), default=Value(1))


class ProgramList(ProgramBatches):
    """The list of programs, with how they stand and what they use."""

    list_display = [
        *("state", "title", "cpu", "memory", "restarts", "start", "user", "instances", "verbs"),
    ]
    list_display_links = None
    show_facets = admin.ShowFacets.NEVER  # by state there are counts anyway
    list_filter = [StandingFilter, LabelFilter, "enabled", "boot", HasPortsFilter, "autorestart", "user"]
    search_fields = ["name", "description", "command"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return ProgramChangeList

    def get_urls(self) -> list[URLPattern]:
        """Add the address of rows that have changed."""
        view = self.admin_site.admin_view(self.rows_view)
        return [path("rows/", view, name="daemon_programs_program_rows"), *super().get_urls()]

    def rows_view(self, request: HttpRequest) -> HttpResponse:
        """Return the rows of some programs, as the list with the rest of the address shows them.

        What concerns all programs comes with them: the title of the page, and the counts by state.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        query = request.GET.copy()
        given = query.pop("id", [])
        request.GET = query  # type: ignore[assignment]
        request.rows = [id for text in given[:_MOST_ROWS] if (id := to_number(str(text))) is not None]  # type: ignore[attr-defined]
        try:
            changelist = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseBadRequest("The address of the list is not valid")
        return TemplateResponse(
            request, "admin/daemon_programs/program/rows_fragment.html", {"cl": changelist}
        )

    # The columns

    @admin.display(description="state", ordering="pk")  # `ProgramChangeList` knows the order
    def state(self, program: Any) -> SafeString:
        """Return the badge, with what there is to say about the state."""
        live = program.live
        if live.state is None and live.standing.word == "unknown":
            return badge("unknown")
        return describe(program, live.state, live.loop)

    @admin.display(description="name", ordering="name")
    def title(self, program: Program) -> SafeString:
        """Return the name as a link to the program's page, and the labels as links that filter."""
        page = reverse("admin:daemon_programs_program_change", args=[program.pk])
        labels = (
            (urlencode({"label": f"{key}={value}"}), f"{key}={value}" if value else key)
            for key, value in program.labels.items()
        )
        chips = format_html_join(" ", '<a class="label" href="?{}">{}</a>', labels)
        return format_html('<a class="row-link" href="{}" dir="auto">{}</a> {}', page, program.name, chips)

    @admin.display(description="CPU", ordering="pk")
    def cpu(self, program: Any) -> SafeString:
        """Return the share of one core, and its course."""
        sample = program.live.sample
        if sample is None:
            return _NOTHING
        return format_html("{} % {}", f"{sample.cpu_percent:.1f}", sparkline(program.live.trend))

    @admin.display(description="memory", ordering="pk")
    def memory(self, program: Any) -> str:
        """Return the memory of all its processes."""
        sample = program.live.sample
        return filesizeformat(sample.memory_rss_bytes) if sample else _NOTHING

    @admin.display(description="restarts/h", ordering="pk")
    def restarts(self, program: Any) -> SafeString:
        """Return how often it was restarted without a request in the last hour."""
        count = program.live.restarts
        return format_html('<strong class="many">{}</strong>', count) if count else _NOTHING

    @admin.display(description="start", ordering=_START)
    def start(self, program: Program) -> SafeString:
        """Return whether it is enabled, and when it is started."""
        word = ("at boot" if program.boot else "by hand") if program.enabled else "disabled"
        return format_html('<span class="quiet">{}</span>', word)

    @admin.display(description="instances", ordering="port_start")
    def instances(self, program: Program) -> str:
        """Return the first and the last port or number."""
        keys = program.keys
        return f"{keys.first}–{keys.last}" if keys else _NOTHING

    @admin.display(description="verbs")
    def verbs(self, program: Any) -> SafeString:
        """Return the buttons that fit the state, and a link to the log."""
        live = program.live
        buttons = format_html_join(
            " ",
            '<button class="button" name="verb" value="{}" formaction="{}" aria-label="{} {}">{}</button>',
            ((verb, live.address, verb.capitalize(), program.name, verb.capitalize()) for verb in live.verbs),
        )
        link = '{} <a class="button" href="{}" aria-label="Log of {}">Log</a>'
        return format_html(link, buttons, _log_page(program), program.name)


def _log_page(program: Program) -> str:
    try:
        return reverse("admin:daemon_programs_program_log", args=[program.pk])
    except NoReverseMatch:
        page = reverse("admin:daemon_programs_program_change", args=[program.pk])
        return f"{page}#live"
