"""The filters of the list of programs."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from daemon_programs.admin.presentation.standings import Standing
from daemon_programs.admin.program.overall import overall_of
from daemon_programs.models import Program
from daemon_programs.validators.labels import parse_selector

PROBLEMS = "problems"  # the value of the filter by state for all that someone should look at


class StandingFilter(admin.SimpleListFilter):
    """Filter programs by how they stand. The states that there are are shown, with their counts."""

    title = "state"
    parameter_name = "state"
    template = "admin/daemon_programs/program/state_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(standing.word, standing.word) for standing in Standing]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Program]) -> QuerySet[Program]:
        """Return the programs that stand so at the moment."""
        chosen = [
            standing
            for standing in Standing
            if self.value() == standing.word or (self.value() == PROBLEMS and standing.is_problem)
        ]
        if not chosen:
            return queryset
        standings = overall_of(request).standings
        return queryset.filter(pk__in=[id for id, standing in standings.items() if standing in chosen])

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield all, and each standing that a program has under the other filters, or that is chosen."""
        others = changelist.get_queryset(self.request, exclude_parameters=self.expected_parameters())
        counts = overall_of(self.request).counts(others.order_by().values_list("pk", flat=True))
        yield self._choice(changelist, None, "all", sum(counts.values()))
        problems = sum(count for standing, count in counts.items() if standing.is_problem)
        if self.value() == PROBLEMS:
            yield self._choice(changelist, PROBLEMS, PROBLEMS, problems)
        for standing in Standing:
            if standing in counts or self.value() == standing.word:
                count = counts.get(standing, 0)
                choice = self._choice(changelist, standing.word, standing.word, count)
                yield {**choice, "severity": standing.severity.value}

    def _choice(self, changelist: Any, value: str | None, word: str, count: int) -> dict[str, Any]:
        remove = [self.parameter_name]
        address = changelist.get_query_string({} if value is None else {self.parameter_name: value}, remove)
        return {
            "selected": self.value() == value,
            "query_string": address,
            "display": word,
            "count": count,
            "severity": "neutral",
        }


class HasPortsFilter(admin.SimpleListFilter):
    """Filter programs by whether they have a port range."""

    title = "port range"
    parameter_name = "ports"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Program]) -> QuerySet[Program]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(port_start__isnull=self.value() == "no")


class LabelFilter(admin.SimpleListFilter):
    """Filter programs by one of the labels that there are."""

    title = "label"
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        used = {
            f"{key}={value}"
            for labels in Program.objects.exclude(labels={}).values_list("labels", flat=True)
            for key, value in labels.items()
        }
        return [(label, label) for label in sorted(used)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Program]) -> QuerySet[Program]:
        selector = parse_selector(self.value() or "")
        if selector is None:
            return queryset
        labelled = Program.objects.exclude(labels={}).values_list("pk", "labels")
        return queryset.filter(pk__in=[pk for pk, labels in labelled if selector.selects(labels)])
