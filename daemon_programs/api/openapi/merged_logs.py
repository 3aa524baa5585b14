"""Describe the routes of the logs of several programs for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.parameters import BOOLEAN_SCHEMA, LOG_QUERY, TIME_SCHEMA, query
from daemon_programs.api.openapi.responses import Success
from daemon_programs.api.openapi.streams import CURSOR_PATTERN, resumable, stream, stream_examples
from daemon_programs.logs.chosen import BOTH, STREAMS, TYPES
from daemon_programs.logs.merged_stream import MAX_LOGS
from daemon_programs.serializers.queries import MAX_GREP, MAX_WORDS

_TAGS = ["logs"]
_POSITION = f"[0-9]{{1,16}}([pi][0-9]{{1,5}})?[oe]-{CURSOR_PATTERN}"
_POSITIONS = {"type": "string", "pattern": f"^(-|{_POSITION}(\\.{_POSITION}){{0,{MAX_LOGS - 1}}})$"}
LINE = {
    "program": "web",
    "id": 1,
    "stream": "stdout",
    "time": "2026-11-21T18:40:00.123Z",
    "line": "listening on 9000",
}
_UNTIMED = {"program": "api", "id": 2, "port": 8042, "stream": "stderr", "time": None, "line": "Traceback"}


class _About(serializers.Serializer):
    """A log of a program or of an instance."""

    program = serializers.CharField(allow_blank=True, help_text="The name of the program.")
    id = serializers.IntegerField()
    port = serializers.IntegerField(required=False, help_text="That of an instance of a port range.")
    instance = serializers.IntegerField(required=False, help_text="The number of an instance.")
    stream = serializers.ChoiceField(choices=STREAMS)


class MergedLine(_About):
    """A line of a log."""

    time = serializers.DateTimeField(
        allow_null=True, help_text="With `log_timestamps`. It is taken off the line. Null if it has none."
    )
    line = serializers.CharField(allow_blank=True)


class LogProblem(_About):
    """A log that can't be read."""

    error = serializers.CharField()


@extend_schema_serializer(many=False)
class MergedLogsAnswer(Success):
    """The newest lines of several logs."""

    lines = MergedLine(many=True)
    problems = LogProblem(many=True, required=False)
    truncated = serializers.BooleanField(
        required=False,
        help_text="True if lines may be missing: 32 MiB are read at most, and an answer has at most 4 MiB.",
    )


_SELECT = query(
    "select",
    {"type": "array", "maxItems": MAX_WORDS, "items": {"type": "string"}},
    "Only the programs that one of these words stands for: a name, a glob (`web-*`), an id, a label "
    "(`team=shop`) or a state (`@fatal`). Repeatable. A word that names no program is a 404.",
    explode=True,
)
_TYPE = query("type", {"type": "string", "enum": list(TYPES), "default": BOTH}, "Which logs of them.")
_GREP = query(
    "grep",
    {"type": "string", "minLength": 1, "maxLength": MAX_GREP, "pattern": r"^[^\n]*$"},
    "Only lines with this text. It is no pattern.",
)
_IGNORE_CASE = query("ignore_case", BOOLEAN_SCHEMA, "Upper and lower case of `grep` are the same.")
_SINCE = query("since", TIME_SCHEMA, "Only lines of this time or later; `10m` is 10 minutes ago.")
# Of `logs`, without `lines`.
SELECTED = [
    _SELECT,
    _TYPE,
    _SINCE,
    query("until", TIME_SCHEMA, "Only lines of this time or earlier."),
    _GREP,
    _IGNORE_CASE,
]

merged_logs = extend_schema(
    tags=_TAGS,
    operation_id="getLogs",
    summary="Read the logs of several programs",
    description=(
        "The newest lines of all the logs, oldest first, from rotated files too. A line without a time is "
        "placed after the line before it in its file, and a file without any times where it was last written."
    ),
    parameters=[*SELECTED, LOG_QUERY[1]],
    responses=MergedLogsAnswer,
    examples=[
        OpenApiExample("Two programs", {"success": True, "lines": [LINE, _UNTIMED]}, response_only=True)
    ],
)
_LINES: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 10000, "default": 100}
merged_log_stream = stream(
    tags=_TAGS,
    operation_id="streamLogs",
    summary="Follow the logs of several programs",
    description=(
        "Server-Sent Events, resumable with the header `Last-Event-ID`. A comment every 15 seconds keeps the "
        "connection open. Programs that begin to match later are followed from then on.\n\n"
        "- `lines` `{lines, truncated}`: lines as in `GET logs`; the first event has those to begin with\n"
        "- `reset` `{program, id, stream, reason, missed}`: lines of this log may be missing\n"
        "- `error` `{program, id, stream, error}`: this log can't be read at the moment\n"
        "- `end` `{reason}`: all programs were `removed`. No event follows: close the stream."
    ),
    parameters=[
        _SELECT,
        _TYPE,
        _SINCE,
        _GREP,
        _IGNORE_CASE,
        query("lines", _LINES, "How many of the last lines to send first, unless the stream is resumed."),
        *resumable(_POSITIONS),
    ],
    examples=stream_examples(("1o-b0d91-5e3a-7c2-1f20cc04", "lines", {"lines": [LINE]})),
)
