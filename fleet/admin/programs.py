"""The list of the programs of all hosts: problems first, and what is old unmistakably so."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Case, QuerySet, Value, When
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from daemon_programs.admin.live_list import LiveRows
from daemon_programs.admin.presentation.standings import Standing
from daemon_programs.admin.presentation.times import ago
from daemon_programs.admin.records import StateFilter
from daemon_programs.programs.selection import STATES
from fleet.admin.ages import host_badge, last_heard, state_badge
from fleet.admin.program_page import FollowedProgramPage
from fleet.models import FollowedProgram, Host
from fleet.reading.hosts import all_hosts
from fleet.reading.status import PROBLEMS

_NOTHING = mark_safe('<span class="nothing">–</span>')
_MOST_HOSTS_OF_FILTER = 50
_MOST_HOSTS_TOLD = 5
# What needs attention first.
_RANK = Case(
    *(When(state=standing.word, then=Value(standing.place)) for standing in Standing),
    default=Value(Standing.UNKNOWN.place),
)


class StateOfProgram(StateFilter):
    """Filter programs by their state, or all that someone should look at."""

    states = ("problems", *STATES)

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "problems":
            return rows.filter(state__in=PROBLEMS)
        return super().queryset(request, rows)


class HostFilter(admin.SimpleListFilter):
    """Filter programs by their host, by its name. Of very many hosts only the chosen one is shown."""

    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        names = list(Host.objects.order_by("name").values_list("name", flat=True))
        if len(names) > _MOST_HOSTS_OF_FILTER:
            names = [name for name in names if name == request.GET.get(self.parameter_name)]
        return [(name, name) for name in names]

    def has_output(self) -> bool:
        """Return whether there is a choice, or one was made."""
        return bool(self.lookup_choices)

    def queryset(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(host__name=self.value()) if self.value() else rows


class FollowedRows(LiveRows):
    """A page of the list, with what is known of the hosts of its programs."""

    def get_results(self, request: HttpRequest) -> None:
        """Find the programs of the page, and set ``known`` of each to its host."""
        super().get_results(request)
        hosts = all_hosts()
        by_id = {host.id: host for host in hosts}
        # One whose host was removed just now is gone too.
        self.result_list = [row for row in self.result_list if row.host_id in by_id]
        for row in self.result_list:
            row.known = by_id[row.host_id]
        away = [host for host in hosts if not host.is_current]
        if away:
            told = format_html_join(
                ", ", "{} ({})", ((host.name, last_heard(host)) for host in away[:_MOST_HOSTS_TOLD])
            )
            more = f" and {len(away) - _MOST_HOSTS_TOLD} more" if len(away) > _MOST_HOSTS_TOLD else ""
            self.problem = format_html("What is shown of these hosts is old: {}{}", told, more)


@admin.register(FollowedProgram)
class FollowedProgramAdmin(FollowedProgramPage):
    """The programs of all hosts."""

    list_display = ["state_now", "title", "host_name", "cpu", "memory", "heard"]
    list_display_links = ["title"]
    list_filter = [StateOfProgram, HostFilter]
    search_fields = ["name", "host__name"]
    show_full_result_count = False
    # Events of this host's own programs say nothing about the list.
    live_scope = 'data-live-program="hosts" data-live-seconds="5"'

    def get_queryset(self, request: HttpRequest) -> QuerySet[FollowedProgram]:
        """Return the programs without their documents, which no list shows."""
        programs = super().get_queryset(request).select_related("host")
        return programs.defer("document", "host__ca", "host__notes")

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Return the order: problems first."""
        return [_RANK, "host__name", "program_id"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return FollowedRows

    @admin.display(description="state", ordering=_RANK)
    def state_now(self, program: Any) -> SafeString:
        """Return the badge of the state; of a host that is away, since when nothing was heard."""
        return state_badge(program.state, program.known)

    @admin.display(description="name", ordering="name")
    def title(self, program: FollowedProgram) -> SafeString:
        """Return the name, which keeps its own direction of writing to itself."""
        return format_html("<bdi>{}</bdi>", program.name)

    @admin.display(description="host", ordering="host__name")
    def host_name(self, program: Any) -> SafeString:
        """Return the name of the host, which filters the list, and its state unless it is current."""
        badge = "" if program.known.is_current else host_badge(program.known)
        return format_html('<a href="?host={0}">{0}</a> {1}', program.known.name, badge)

    @admin.display(description="CPU", ordering="cpu_percent")
    def cpu(self, program: FollowedProgram) -> str:
        """Return the share of one core."""
        return _NOTHING if program.cpu_percent is None else f"{program.cpu_percent:.1f} %"

    @admin.display(description="memory", ordering="memory_bytes")
    def memory(self, program: FollowedProgram) -> str:
        """Return the memory of all its processes."""
        return _NOTHING if program.memory_bytes is None else filesizeformat(program.memory_bytes)

    @admin.display(description="heard", ordering="host__link__heard_at")
    def heard(self, program: Any) -> str:
        """Return until when that is true."""
        return ago(program.known.heard_at) if program.known.heard_at else "never"
