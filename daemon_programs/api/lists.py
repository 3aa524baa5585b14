"""Put lists in order, and cut them into pages."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from daemon_programs.serializers.list_queries import ListCursor

Row = TypeVar("Row")


def list_page(
    rows: Sequence[Row],
    query: dict[str, Any],
    *,
    id_of: Callable[[Row], int],
    value_of: Callable[[Row], str | float],
) -> tuple[list[Row], dict[str, str | None]]:
    """Return the rows that ``sort``, ``limit`` and ``cursor`` select, and ``next`` if pages are asked for.

    ``value_of`` returns what the rows are sorted by; those that are equal are in id order. A page begins
    after the place of the last row of the one before, so rows that come and go shift no others.
    """
    sort = query.get("sort", "id")
    descends = sort.startswith("-")
    ordered = sorted(sorted(rows, key=id_of), key=value_of, reverse=descends)  # it keeps the order of equals
    if "cursor" in query:
        cursor: ListCursor = query["cursor"]
        ordered = [row for row in ordered if _is_after(value_of(row), id_of(row), cursor, descends)]
    if "limit" not in query and "cursor" not in query:
        return ordered, {}
    shown = ordered[: query.get("limit")]
    if len(shown) == len(ordered):
        return shown, {"next": None}
    last = shown[-1]
    return shown, {"next": ListCursor(sort, value_of(last), id_of(last)).encode()}


def _is_after(value: Any, id: int, cursor: ListCursor, descends: bool) -> bool:
    if value == cursor.value:
        return id > cursor.id
    return bool(value < cursor.value) is descends


def with_fields(document: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
    """Return what ``fields`` selects of a document, in its order; all of it without ``fields``."""
    fields = query.get("fields")
    return document if fields is None else {name: document[name] for name in document if name in fields}
