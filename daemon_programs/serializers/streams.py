"""What clients send to open a stream. Bad values are refused, also in the header."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from daemon_programs.logs.cursor import Cursor
from daemon_programs.serializers.queries import LogQuerySerializer
from daemon_programs.serializers.query_fields import QueryField, QueryInteger
from daemon_programs.text import to_number

_HEADER = "Last-Event-ID"


def stream_query(request: Request) -> dict[str, Any]:
    """The query, and the header that browsers send when they connect again."""
    query = {name: value for name, value in request.query_params.items() if name != _HEADER}
    return {**query, _HEADER: request.headers[_HEADER]} if _HEADER in request.headers else query


class LastEventField(QueryField):
    """The id of the last event that a client has had."""

    def to_internal_value(self, data: str) -> Any:
        try:
            return self.parse(data)
        except ValueError:
            what = "Header" if self.field_name == _HEADER else "Query parameter"
            raise serializers.ValidationError(
                f"{what} '{self.field_name}' must be the id of an event of this stream"
            ) from None

    def parse(self, text: str) -> Any:
        raise NotImplementedError


class LogCursorField(LastEventField):
    def parse(self, text: str) -> Cursor:
        return Cursor.parse(text)


class EventIdField(LastEventField):
    def parse(self, text: str) -> int:
        number = to_number(text)
        if number is None:
            raise ValueError("no id")
        return number


class ResumableSerializer(serializers.Serializer):
    """What is resumed by a header, as browsers do it, or by ``last_event_id``. The header wins."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        return {**fields, _HEADER: type(fields["last_event_id"])(required=False)}

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if _HEADER in values:
            values["last_event_id"] = values.pop(_HEADER)
        return values


class LogStreamQuerySerializer(ResumableSerializer, LogQuerySerializer):
    """The query of a log's stream."""

    lines = QueryInteger(0, 10000, default=100)
    last_event_id = LogCursorField(required=False)


class EventStreamQuerySerializer(ResumableSerializer):
    """The query of ``events/stream``."""

    last_event_id = EventIdField(required=False)
