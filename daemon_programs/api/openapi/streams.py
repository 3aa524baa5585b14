"""Describe the routes of streams for the OpenAPI document."""

import json
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from daemon_programs.api.openapi import events as event_schemas
from daemon_programs.api.openapi.parameters import ID, INSTANCE, LOG_QUERY, PORT, query
from daemon_programs.programs.observed.statuses import STATUSES
from daemon_programs.validators import rules

_MEDIA_TYPE = "text/event-stream"
CURSOR_PATTERN = "[0-9a-f]{1,16}-[0-9a-f]{1,8}-[0-9a-f]{1,16}-[0-9a-f]{1,8}"
_CURSOR = {"type": "string", "pattern": f"^{CURSOR_PATTERN}$"}
_PROGRAM = {"type": "integer", "minimum": rules.IDS[0], "maximum": rules.IDS[1]}
EVENT_ID = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_LINES = {"type": "integer", "minimum": 0, "maximum": 10000, "default": 100}
_POSITION = "b0d91-5e3a-7c2-1f20cc04"

LOG_EVENTS = (
    "Server-Sent Events, resumable with the header `Last-Event-ID`. A comment every 15 seconds keeps the "
    "connection open.\n\n"
    "- `open` `{log_file, type, offset, exists}`: sent first, and when a log has been created\n"
    "- `line` `{line, offset}`: a line, and the offset of its end in the file\n"
    "- `reset` `{reason, offset, missed}`: reading continues in another file (`rotated`), or at the start "
    "of a file that was emptied (`truncated`). With `missed`, lines may be missing\n"
    "- `error` `{error}`: the log can't be read at the moment\n"
)


def stream_examples(*events: tuple[str | None, str, dict[str, Any]]) -> list[OpenApiExample]:
    """Return one example of a stream; each event is its id, its name and its data."""
    texts = ["retry: 2000\n\n"]
    for id, name, data in events:
        head = "" if id is None else f"id: {id}\n"
        texts.append(f"{head}event: {name}\ndata: {json.dumps(data)}\n\n")
    return [OpenApiExample("Events", "".join(texts), response_only=True, media_type=_MEDIA_TYPE)]


def resumable(schema: dict[str, Any]) -> list[OpenApiParameter]:
    """Return the parameters that resume a stream after an event; ``schema`` is that of its id."""
    description = "The `id` of the last event that was received. The stream continues after it."
    return [
        OpenApiParameter("Last-Event-ID", schema, OpenApiParameter.HEADER, description=description),
        query("last_event_id", schema, "Like the header `Last-Event-ID`, which takes precedence."),
    ]


_OPEN = {"log_file": "/var/log/web/out.log", "type": "stdout", "offset": 1970, "exists": True}
LINE = (_POSITION, "line", {"line": "listening on 9000", "offset": 1986})
LOG_STREAM_QUERY = [
    LOG_QUERY[0],
    query("lines", _LINES, "How many of the last lines to send first, unless the stream is resumed."),
    *resumable(_CURSOR),
]


def stream(**options: Any) -> Any:
    """Return the decorator of a view that answers with a stream."""
    return extend_schema(responses={(200, _MEDIA_TYPE): OpenApiTypes.STR}, **options)


program_log_stream = stream(
    tags=["logs"],
    operation_id="streamProgramLog",
    summary="Follow a program's log",
    description=(
        f"{LOG_EVENTS}- `end` `{{reason}}`: the program was `removed`, or the path of its log was `changed`. "
        "No event follows: close the stream."
    ),
    parameters=[ID, *LOG_STREAM_QUERY, PORT, INSTANCE],
    examples=stream_examples(("b0d91-5e3a-7b2-99e1b07d", "open", _OPEN), LINE),
)
event_stream = stream(
    tags=["events"],
    operation_id="streamEvents",
    summary="Follow all events",
    description=(
        "State changes of all programs as they are recorded, as Server-Sent Events: `state`, with the data "
        "of `GET events`. The stream begins with the next event, or is resumed after the one in the header "
        "`Last-Event-ID`. `reset` `{reason: purged}`: events in between were removed because of their age."
    ),
    parameters=[
        *resumable(EVENT_ID),
        query("program", _PROGRAM, "Only events of the program with this id."),
        query("state", {"type": "string", "enum": list(STATUSES)}, "Only changes to this state."),
    ],
    examples=stream_examples(("1042", "state", event_schemas.EXAMPLE)),
)
