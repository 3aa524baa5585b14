"""Parameters that several operations have."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter

from daemon_programs.api.openapi import (
    extensions,  # noqa: F401  (registered by being imported)
)
from daemon_programs.validators import rules


def query(name: str, type: Any, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, description=description, **options)


_ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 1}
ID = OpenApiParameter("id", _ID_SCHEMA, OpenApiParameter.PATH, description="The program's id.")
PORT_SCHEMA = {"type": "integer", "minimum": rules.PORTS[0], "maximum": rules.PORTS[1]}
BOOLEAN_SCHEMA = {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}
PORT = query("port", PORT_SCHEMA, "The instance of a port range.")
LOG_QUERY = [
    query("type", {"type": "string", "enum": ["stdout", "stderr"], "default": "stdout"}, "Which stream."),
    query(
        "lines", {"type": "integer", "minimum": 1, "maximum": 10000, "default": 100}, "At most so many lines."
    ),
]
PAGE = [
    query("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "At most so many."),
    query("cursor", {"type": "string", "pattern": "^[0-9]{1,18}$"}, "The `next` of an earlier answer."),
]
