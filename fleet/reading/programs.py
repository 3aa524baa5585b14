"""The programs of all hosts, in order and in pages, with only as many rows read as a page shows."""

from collections.abc import Sequence
from typing import Any

from django.db.models import F, FloatField, Func, Q, QuerySet, TextField
from django.db.models.functions import Cast, Coalesce

from daemon_programs.serializers.list_queries import ListCursor
from daemon_programs.validators.labels import Selector
from fleet.models import FollowedProgram
from fleet.reading.hosts import KnownHost

DEFAULT_SORT = "host"
# What does not run stands below what runs and uses nothing.
_VALUES: dict[str, Any] = {
    "host": F("host__name"),
    "name": F("name"),
    "state": F("state"),
    "cpu": Coalesce(F("cpu_percent"), -1.0),
    "memory": Coalesce(Cast(F("memory_bytes"), FloatField()), -1.0),
}
SORTS = tuple(_VALUES)
SORTS_BY_TEXT = ("host", "name", "state")


class LabelValue(Func):
    """The value of a label, as text; NULL without the label.

    Django's own look-up into JSON takes a key such as ``7`` as a place in a list.
    """

    output_field = TextField()

    def __init__(self, key: str) -> None:
        super().__init__(F("labels"))
        self.key = key  # without quotes: see `validators.labels`

    def as_sqlite(self, compiler: Any, connection: Any, **options: Any) -> Any:
        """Return the SQL for SQLite, and its parameters."""
        column, parameters = compiler.compile(self.get_source_expressions()[0])
        return f"JSON_EXTRACT({column}, %s)", [*parameters, f'$."{self.key}"']

    def as_postgresql(self, compiler: Any, connection: Any, **options: Any) -> Any:
        """Return the SQL for PostgreSQL, and its parameters."""
        column, parameters = compiler.compile(self.get_source_expressions()[0])
        return f"({column} ->> %s::text)", [*parameters, self.key]


def with_labels(selectors: Sequence[Selector]) -> QuerySet[FollowedProgram]:
    """Return the programs that have all of the labels."""
    programs = FollowedProgram.objects.order_by()
    for number, (key, value) in enumerate(selectors):
        name = f"label_{number}"
        programs = programs.alias(**{name: LabelValue(key)})
        programs = programs.filter(**({f"{name}__isnull": False} if value is None else {name: value}))
    return programs


def page(
    hosts: Sequence[KnownHost], query: dict[str, Any], *, is_of_all: bool
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the programs that a query selects on hosts, and the cursor of the next page.

    ``is_of_all`` says that these are all hosts, which need not be named to the database then. A page begins
    after the place of the last row of the one before, so rows that come and go shift no others.
    """
    by_id = {host.id: host for host in hosts}
    sort = query.get("sort", DEFAULT_SORT)
    programs: Any = _filtered(query).annotate(value=_VALUES[sort.removeprefix("-")])
    if not is_of_all:
        programs = programs.filter(host__in=list(by_id))
    # Programs of one host are in the order of their ids.
    tie = "program_id" if sort.removeprefix("-") == "host" else "pk"
    if "cursor" in query:
        programs = _after(programs, query["cursor"], tie)
    elif tie == "program_id":
        # True of all: SQLite then goes through the hosts in order, and stops, rather than sort all programs.
        programs = programs.filter(value__gte="")
    sign = "-" if sort.startswith("-") else ""
    ordered = programs.order_by(f"{sign}value", f"{sign}{tie}")
    found = list(ordered.values_list("host", "document", "value", tie)[: query["limit"] + 1])
    shown = found[: query["limit"]]
    rows = [
        {"host": by_id[host].name, "age_seconds": by_id[host].age_seconds, "program": document}
        for host, document, *_ in shown
        if host in by_id  # one may have been added just now
    ]
    if len(shown) == len(found):
        return rows, None
    *_, value, id = shown[-1]
    return rows, ListCursor(sort, value, id).encode()


def _filtered(query: dict[str, Any]) -> QuerySet[FollowedProgram]:
    programs = with_labels(query.get("label", ()))
    if "state" in query:
        programs = programs.filter(state__in=query["state"])
    if "q" in query:
        text = query["q"]
        programs = programs.filter(
            Q(name__icontains=text)
            | Q(document__command__icontains=text)
            | Q(document__description__icontains=text)
        )
    return programs


def _after(programs: QuerySet[FollowedProgram], cursor: ListCursor, tie: str) -> QuerySet[FollowedProgram]:
    """Return the rows after the place of a cursor. The first condition lets an index be used."""
    beyond = "lt" if cursor.sort.startswith("-") else "gt"
    return programs.filter(**{f"value__{beyond}e": cursor.value}).filter(
        Q(**{f"value__{beyond}": cursor.value}) | Q(**{f"{tie}__{beyond}": cursor.id})
    )
