"""Cut records into pages, newest first. The cursor is the id of the last record of a page."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

Record = TypeVar("Record", bound=Model)


def page(records: QuerySet[Record], query: dict[str, Any]) -> tuple[list[Record], str | None]:
    """Return the page that ``limit`` and ``cursor`` of a query select, and the cursor of the next page.

    The cursor is None on the last page.
    """
    if "cursor" in query:
        records = records.filter(pk__lt=query["cursor"])
    found = list(records.order_by("-id")[: query["limit"] + 1])
    shown = found[: query["limit"]]
    return shown, str(shown[-1].pk) if len(found) > len(shown) else None
