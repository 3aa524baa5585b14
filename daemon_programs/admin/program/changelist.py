"""The page of the list of programs: its order, and what is known of the programs that it shows."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from django.contrib import messages
from django.contrib.admin.templatetags.admin_list import items_for_result, result_headers
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.db.models import CharField, F, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Concat, StrIndex
from django.http import HttpRequest

from daemon_programs.admin.presentation.standings import Standing
from daemon_programs.admin.program.filters import StandingFilter
from daemon_programs.admin.program.overall import overall_of
from daemon_programs.history.restarts import restarts_since
from daemon_programs.models import Program
from daemon_programs.models.program import PROGRAM_PREFIX
from daemon_programs.programs.observed import samples
from daemon_programs.programs.observed.samples import Sample
from daemon_programs.supervisor.states import ProgramState

# The columns that the database does not have, and that it is sorted by all the same.
LIVE_COLUMNS = ("state", "cpu", "memory", "restarts")


@dataclass
class Live:
    """What is known of a program in the list beside its row in the database."""

    standing: Standing = Standing.UNKNOWN
    state: ProgramState | None = None
    loop: Any = None
    restarts: int = 0  # without a request, in the last hour
    sample: Sample | None = None
    trend: list[float | None] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    address: str = ""  # of its verbs


class ProgramChangeList(ChangeList):
    """One page of the list, whose states come from one call to supervisord, for all programs."""

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self.request = request
        super().__init__(request, *args)
        self.title = "Programs"

    def get_filters(self, request: HttpRequest) -> Any:
        """Return the filters, folded but for that by state."""
        specs, *others = super().get_filters(request)
        for spec in specs:
            if not isinstance(spec, StandingFilter):
                spec.template = "admin/daemon_programs/program/list_filter.html"
        return specs, *others

    # The order

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Program]) -> Any:
        """Return the order that the address asks for; problems first by default."""
        if request.method != "GET":
            return ["pk"]  # an action, which shows no rows
        if ORDER_VAR not in self.params:
            return [self.get_ordering_field("state")]
        return super().get_ordering(request, queryset)

    def get_ordering_field(self, field_name: Any) -> Any:
        """Return what the database is to sort by for a column."""
        if field_name in LIVE_COLUMNS:
            return _in_order(self._sorted_by(field_name))
        return super().get_ordering_field(field_name)

    def get_ordering_field_columns(self) -> Any:
        """Return the columns that the list is sorted by."""
        if ORDER_VAR in self.params:
            return super().get_ordering_field_columns()
        return {self.list_display.index("state"): "asc"}

    def _sorted_by(self, column: str) -> list[int]:
        """Return the ids of all programs, sorted by a column; those that are equal by their standing."""
        ids = list(overall_of(self.request).standings)
        if column == "restarts":
            return sorted(ids, key=lambda pk: self.restarts.get(_group(pk), 0))
        if column in ("cpu", "memory"):
            return sorted(ids, key=lambda pk: _usage(pk, column))
        return ids

    # The rows

    @cached_property
    def restarts(self) -> dict[str, int]:
        """Return the restarts without a request in the last hour, by group."""
        return restarts_since(datetime.now(UTC) - timedelta(hours=1))

    def get_results(self, request: HttpRequest) -> None:
        """Find the programs of the page, and set ``live`` of each to what is known of it."""
        super().get_results(request)
        if request.method != "GET":
            return
        model_admin: Any = self.model_admin
        overall = overall_of(request)
        chosen = getattr(request, "rows", None)
        if chosen is not None:  # a part of the page, to be brought up to date
            self.result_list = self.root_queryset.filter(pk__in=chosen)
        elif overall.problem:
            messages.warning(request, f"The states of the programs are unknown: {overall.problem}")
        for program in self.result_list:
            group = program.group
            state, loop = overall.states.get(group), overall.loops.get(group)
            standing = overall.standings.get(program.pk, Standing.UNKNOWN)
            program.live = Live(standing, state, loop, self.restarts.get(group, 0))
            program.live.sample, program.live.trend = samples.latest(group), samples.sparkline(group)
            model_admin.add_verbs(request, program)

    def headers(self) -> list[dict[str, Any]]:
        """Return the headings of the table."""
        return list(result_headers(self))

    def rows(self) -> Iterator[tuple[Program, list[Any]]]:
        """Yield each program of the page with its cells."""
        for program in self.result_list:
            yield program, list(items_for_result(self, program, None))

    # What concerns all programs

    @property
    def page_title(self) -> str:
        """Return the title of the page: how many programs have a problem comes first."""
        problems = overall_of(self.request).problems
        site = self.model_admin.admin_site.site_title
        return f"({problems}) {self.title} | {site}" if problems else f"{self.title} | {site}"

    @property
    def depends_on_state(self) -> bool:
        """Return whether a row may have to move, or leave the list, when its state changes."""
        columns = list(self.get_ordering_field_columns())
        is_sorted = columns[:1] == [self.list_display.index("state")]
        return is_sorted or StandingFilter.parameter_name in self.params

    @property
    def states(self) -> list[dict[str, Any]]:
        """Return the choices of the filter by state, with their counts."""
        return [
            choice
            for spec in self.filter_specs
            if isinstance(spec, StandingFilter)
            for choice in spec.choices(self)
        ]


def _group(id: int) -> str:
    return f"{PROGRAM_PREFIX}{id}"


def _usage(id: int, column: str) -> float:
    sample = samples.latest(_group(id))
    if sample is None:
        return -1.0
    return sample.cpu_percent if column == "cpu" else sample.memory_rss_bytes


def _in_order(ids: list[int]) -> Combinable:
    """Return what sorts rows as these ids are sorted: the place of each in one text.

    A thousand conditions would be slower, and more than SQLite takes.
    """
    text = f",{','.join(map(str, ids))},"
    return StrIndex(Value(text), Concat(Value(","), Cast(F("pk"), CharField()), Value(",")))
