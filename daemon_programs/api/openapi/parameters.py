"""Parameters that several operations share."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from daemon_programs.api.openapi import (
    extensions,  # noqa: F401  (registered by being imported)
)
from daemon_programs.serializers.keys import NUMBERS
from daemon_programs.validators import rules


def query(name: str, type: Any, description: str, **options: Any) -> OpenApiParameter:
    """Return a query parameter; ``type`` is its JSON Schema."""
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, description=description, **options)


_ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 1}
ID = OpenApiParameter("id", _ID_SCHEMA, OpenApiParameter.PATH, description="The program's id.")
PORT_SCHEMA = {"type": "integer", "minimum": rules.PORTS[0], "maximum": rules.PORTS[1]}
BOOLEAN_SCHEMA = {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}
TIME_SCHEMA = {
    "type": "string",
    "oneOf": [{"format": "date-time"}, {"pattern": "^[0-9]{1,5}[smhd]$"}],
    "example": "10m",
}
PORT = query("port", PORT_SCHEMA, "The port of an instance.")
_NUMBER_SCHEMA = {"type": "integer", "minimum": NUMBERS[0], "maximum": NUMBERS[1]}
INSTANCE = query("instance", _NUMBER_SCHEMA, "The number of an instance, with `numprocs`.")
LOG_QUERY = [
    query(
        "type",
        {"type": "string", "enum": ["stdout", "stderr"], "default": "stdout"},
        "Which log.",
    ),
    query(
        "lines",
        {"type": "integer", "minimum": 1, "maximum": 10000, "default": 100},
        "At most this many lines.",
    ),
]
PAGE = [
    query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        "At most this many per page.",
    ),
    query("cursor", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "The `next` of an earlier response."),
]
