"""Remove the rows of a history that are too old or too many: `DAEMON_EVENTS_DAYS`, `DAEMON_EVENTS_MOST`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

_ROWS_PER_DELETE = 5000


def purge(history: QuerySet[Any], *, keep_newest: bool = False) -> int:
    """Delete rows with the columns ``id`` and ``at``, few at a time, and return how many.

    With ``keep_newest`` the newest one is kept, however old it is.
    """
    removed = 0
    while rows := _outdated(history, keep_newest=keep_newest):
        history.filter(pk__in=rows).delete()
        removed += len(rows)
    return removed


def _outdated(history: QuerySet[Any], *, keep_newest: bool) -> list[int]:
    """Return the ids of some rows to delete; none when there are no more."""
    kept = history.order_by("-id").values_list("pk", flat=True)
    if surplus := list(kept[settings.EVENTS_MOST : settings.EVENTS_MOST + _ROWS_PER_DELETE]):
        return surplus
    old = history.filter(at__lt=datetime.now(UTC) - timedelta(days=settings.EVENTS_DAYS))
    if keep_newest:
        old = old.exclude(pk=kept.first())
    return list(old.order_by("at").values_list("pk", flat=True)[:_ROWS_PER_DELETE])
