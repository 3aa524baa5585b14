"""What the routes of streams are and answer, for OpenAPI. Nothing here runs when a request is served."""

import json
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from daemon_programs.api.openapi import events as event_schemas
from daemon_programs.api.openapi.parameters import ID, LOG_QUERY, PORT, query

_MEDIA_TYPE = "text/event-stream"
_CURSOR = {"type": "string", "pattern": "^[0-9a-f]{1,16}-[0-9a-f]{1,8}-[0-9a-f]{1,16}-[0-9a-f]{1,8}$"}
_EVENT_ID = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_LINES = {"type": "integer", "minimum": 0, "maximum": 10000, "default": 100}
_PLACE = "b0d91-5e3a-7c2-1f20cc04"

LOG_EVENTS = (
    "Server-Sent Events, resumable with the header `Last-Event-ID`; a comment every 15 seconds keeps the "
    "connection.\n\n"
    "- `open` `{log_file, type, offset, exists}`: at the beginning, and when a log has come into being\n"
    "- `line` `{line, offset}`: a line, and where in its file it ends\n"
    "- `reset` `{reason, offset, missed}`: reading goes on in another file (`rotated`), or at the beginning "
    "of one that was emptied (`truncated`); `missed`: lines may be missing\n"
    "- `error` `{error}`: the log can't be read at the moment\n"
)


def shown(*events: tuple[str | None, str, dict[str, Any]]) -> list[OpenApiExample]:
    texts = ["retry: 2000\n\n"]
    for id, name, data in events:
        head = "" if id is None else f"id: {id}\n"
        texts.append(f"{head}event: {name}\ndata: {json.dumps(data)}\n\n")
    return [OpenApiExample("Events", "".join(texts), response_only=True, media_type=_MEDIA_TYPE)]


def _resumable(schema: dict[str, Any]) -> list[OpenApiParameter]:
    what = "The `id` of the last event that was received: go on behind it."
    return [
        OpenApiParameter("Last-Event-ID", schema, OpenApiParameter.HEADER, description=what),
        query("last_event_id", schema, "As the header `Last-Event-ID`, which wins."),
    ]


_OPEN = {"log_file": "/var/log/web/out.log", "type": "stdout", "offset": 1970, "exists": True}
LINE = (_PLACE, "line", {"line": "listening on 9000", "offset": 1986})
LOG_STREAM_QUERY = [
    LOG_QUERY[0],
    query("lines", _LINES, "Begin with so many of the last lines, unless it is resumed."),
    *_resumable(_CURSOR),
]


def stream(**options: Any) -> Any:
    return extend_schema(responses={(200, _MEDIA_TYPE): OpenApiTypes.STR}, **options)


program_log_stream = stream(
    tags=["logs"],
    operation_id="streamProgramLog",
    summary="Follow a program's log",
    description=(
        f"{LOG_EVENTS}- `end` `{{reason}}`: the program was `removed`, or where its log is has `changed`. "
        "Nothing follows: close the stream."
    ),
    parameters=[ID, *LOG_STREAM_QUERY, PORT],
    examples=shown(("b0d91-5e3a-7b2-99e1b07d", "open", _OPEN), LINE),
)
event_stream = stream(
    tags=["events"],
    operation_id="streamEvents",
    summary="Follow all events",
    description=(
        "State changes of all programs as they are recorded, as Server-Sent Events: `state`, with the "
        "data of `GET events`. From now on, or resumed with the header `Last-Event-ID`, everything after "
        "that event. `reset` `{reason: purged}`: events in between were removed with age."
    ),
    parameters=_resumable(_EVENT_ID),
    examples=shown(("1042", "state", event_schemas.EXAMPLE)),
)
