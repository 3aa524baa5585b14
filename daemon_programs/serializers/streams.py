"""Validate requests that open a stream: the query, and the header ``Last-Event-ID``."""

from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request

from daemon_programs.logs.cursor import Cursor
from daemon_programs.logs.positions import LogName, parse_positions
from daemon_programs.programs.observed.statuses import STATUSES
from daemon_programs.serializers.queries import (
    InstanceQuerySerializer,
    LogQuerySerializer,
    SelectedLogsSerializer,
)
from daemon_programs.serializers.query_fields import QueryChoice, QueryField, QueryInteger
from daemon_programs.text import to_number

_HEADER = "Last-Event-ID"


def stream_query(request: Request) -> QueryDict:
    """Return the query, with the header that browsers send when they reconnect."""
    query = request.query_params.copy()
    if _HEADER in request.headers:
        query[_HEADER] = request.headers[_HEADER]
    return query


class LastEventField(QueryField):
    """Accept the id of the last event that a client has received."""

    def to_internal_value(self, data: str) -> Any:
        try:
            return self.parse(data)
        except ValueError:
            what = "Header" if self.field_name == _HEADER else "Query parameter"
            raise serializers.ValidationError(
                f"{what} '{self.field_name}' must be the id of an event of this stream"
            ) from None

    def parse(self, text: str) -> Any:
        """Return the position that the id stands for; raise ValueError if it is none."""
        raise NotImplementedError


class LogCursorField(LastEventField):
    """Accept the id of an event of a log stream."""

    def parse(self, text: str) -> Cursor:
        """Return the position in the log."""
        return Cursor.parse(text)


class PositionsField(LastEventField):
    """Accept the id of an event of a stream of several logs."""

    def parse(self, text: str) -> dict[LogName, Cursor]:
        """Return the position in each log."""
        return parse_positions(text)


class EventIdField(LastEventField):
    """Accept the id of an event of the event stream."""

    def parse(self, text: str) -> int:
        """Return the id of the row."""
        number = to_number(text)
        if number is None:
            raise ValueError("no id")
        return number


class ResumableSerializer(serializers.Serializer):
    """Accept ``last_event_id``, and the header that browsers send instead. The header wins."""

    def get_fields(self) -> dict[str, Any]:
        """Add a field for the header, of the same type as ``last_event_id``."""
        fields = super().get_fields()
        return {**fields, _HEADER: type(fields["last_event_id"])(required=False)}

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the last event id under one name, wherever it came from."""
        values = super().validate(values)
        if _HEADER in values:
            values["last_event_id"] = values.pop(_HEADER)
        return values


class LogStreamQuerySerializer(ResumableSerializer, LogQuerySerializer):
    """Validate the query of a log stream."""

    lines = QueryInteger(0, 10000, default=100)
    last_event_id = LogCursorField(required=False)


class InstanceLogStreamQuerySerializer(LogStreamQuerySerializer, InstanceQuerySerializer):
    """Validate the query of a program's log stream; the program may have instances."""


class MergedLogStreamQuerySerializer(ResumableSerializer, SelectedLogsSerializer):
    """Validate the query of ``logs/stream``."""

    lines = QueryInteger(0, 10000, default=100)
    last_event_id = PositionsField(required=False)


class EventStreamQuerySerializer(ResumableSerializer):
    """Validate the query of ``events/stream``."""

    last_event_id = EventIdField(required=False)
    program = QueryInteger(1, 999_999_999, required=False)
    state = QueryChoice(STATUSES, required=False)
