"""Validate the query of the history of a hub."""

from rest_framework import serializers

from daemon_programs.serializers.query_fields import QueryCursor, QueryInteger, QueryText, QueryTime

MOST_USER = 150  # characters
MOST_HOST = 63


class CallQuerySerializer(serializers.Serializer):
    """Validate the query of ``GET fleet/calls``. Filters are combined with AND."""

    user = QueryText(MOST_USER, required=False)
    host = QueryText(MOST_HOST, required=False)
    since = QueryTime(required=False)
    limit = QueryInteger(1, 1000, default=100)
    cursor = QueryCursor(required=False)
