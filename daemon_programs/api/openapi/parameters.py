"""Parameters that several operations share."""

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import OpenApiParameter

from daemon_programs.api.openapi import (
    extensions,  # noqa: F401  (registered by being imported)
)
from daemon_programs.serializers.keys import NUMBERS
from daemon_programs.serializers.list_queries import MOST_TEXT
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
TEXT = r"^[^\u0000]*$"
LIST = [
    query("user", {"type": "string", "pattern": TEXT}, "Only programs that run as this user."),
    query(
        "q",
        {"type": "string", "minLength": 1, "maxLength": MOST_TEXT},
        "Only programs that have this text in their name, command or description (if they have one), in "
        "any letter case.",
    ),
    query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 1000},
        "At most this many. The answer has `next` then.",
    ),
    query(
        "cursor",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
        "The `next` of an earlier response with the same `sort`: the list goes on after that.",
    ),
]


def list_query(
    statuses: Iterable[str], sorts: Iterable[str], fields: Iterable[str]
) -> list[OpenApiParameter]:
    """Return the parameters of a list, of which each list has its own words."""
    orders = [order for sort in sorts for order in (sort, f"-{sort}")]
    return [
        query(
            "status",
            {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(statuses)}},
            "Only programs with this status. Repeatable: they must have any of them.",
            explode=True,
        ),
        query(
            "sort",
            {"type": "string", "enum": orders, "default": "id"},
            "The order of the list; with `-` the reverse.",
        ),
        query(
            "fields",
            {"type": "array", "minItems": 1, "items": {"type": "string", "enum": list(fields)}},
            "Only these fields of each program, with commas between them.",
            explode=False,
        ),
        *LIST,
    ]


PAGE = [
    query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        "At most this many per page.",
    ),
    query("cursor", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "The `next` of an earlier response."),
]
