"""Validate the queries of the routes that read over all hosts."""

from typing import Any

from rest_framework import serializers

from daemon_programs.programs.observed.statuses import STATUSES
from daemon_programs.programs.selection import STATES
from daemon_programs.serializers.fields import check_text
from daemon_programs.serializers.list_queries import (
    ListCursor,
    QueryListCursor,
    QueryStatuses,
    QueryText,
    sort_field,
)
from daemon_programs.serializers.queries import EventQuerySerializer, MergedLogQuerySerializer
from daemon_programs.serializers.query_fields import (
    QueryChoice,
    QueryInteger,
    QueryLabels,
    QueryList,
    QueryTime,
)
from daemon_programs.serializers.streams import EventIdField, ResumableSerializer
from fleet.reading.programs import DEFAULT_SORT, SORTS, SORTS_BY_TEXT

MAX_NAMES = 200
_MAX_ID = 2**63 - 1


class HostChoiceSerializer(serializers.Serializer):
    """Validate which hosts a query is about: all, without either of these."""

    host = QueryList(MAX_NAMES, default=())
    host_label = QueryLabels(default=())


class FleetProgramsQuerySerializer(HostChoiceSerializer):
    """Validate the query of ``GET fleet/programs``."""

    label = QueryLabels(required=False)  # type: ignore[assignment]  # DRF takes it out of the class
    state = QueryStatuses(STATES, required=False)
    q = QueryText(required=False)
    sort = sort_field(SORTS)
    limit = QueryInteger(1, 1000, default=100)
    cursor = QueryListCursor(required=False)

    def validate_q(self, text: str) -> str:
        """Refuse what no database can look for."""
        check_text(text, "Query parameter 'q'")
        return text

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse the cursor of a list in another order."""
        values = super().validate(values)
        if "cursor" in values and not _belongs_to(values["cursor"], values.get("sort", DEFAULT_SORT)):
            raise serializers.ValidationError(
                {"cursor": ["Query parameter 'cursor' must be the 'next' of an answer with the same sort"]}
            )
        return values


def _belongs_to(cursor: ListCursor, sort: str) -> bool:
    """Return whether a cursor has been made by this sort: others may have what no database can compare."""
    if cursor.sort != sort or not 0 <= cursor.id <= _MAX_ID:
        return False
    if sort.removeprefix("-") in SORTS_BY_TEXT:
        return isinstance(cursor.value, str) and "\0" not in cursor.value
    return isinstance(cursor.value, float)


class FleetEventsQuerySerializer(HostChoiceSerializer, EventQuerySerializer):
    """Validate the query of ``GET fleet/events``."""

    label = QueryLabels(required=False)  # type: ignore[assignment]  # DRF takes it out of the class


class FleetUsageQuerySerializer(HostChoiceSerializer):
    """Validate the query of ``GET fleet/usage``."""

    since = QueryTime(required=False)


class FleetLogsQuerySerializer(HostChoiceSerializer, MergedLogQuerySerializer):
    """Validate the query of ``GET fleet/logs``."""


class FleetEventStreamQuerySerializer(ResumableSerializer, HostChoiceSerializer):
    """Validate the query of ``GET fleet/events/stream``."""

    last_event_id = EventIdField(required=False)
    state = QueryChoice(STATUSES, required=False)
