"""Validate the query of the history of a hub."""

from rest_framework import serializers

from daemon_programs.serializers.query_fields import QueryCursor, QueryInteger, QueryText, QueryTime

MOST_USER = 150  # characters
MOST_HOST = 63


class QueryName(QueryText):
    """Accept a text that the database can have: those of PostgreSQL have no NUL."""

    def to_internal_value(self, data: str) -> str:
        # NUL is refused as a line break is.
        return super().to_internal_value(data.replace("\0", "\n"))


class CallQuerySerializer(serializers.Serializer):
    """Validate the query of ``GET fleet/calls``. Filters are combined with AND."""

    user = QueryName(MOST_USER, required=False)
    host = QueryName(MOST_HOST, required=False)
    since = QueryTime(required=False)
    limit = QueryInteger(1, 1000, default=100)
    cursor = QueryCursor(required=False)
