"""Describe quick start's routes for the OpenAPI document (docs/contract.md, section 6).

This code does not run when a request is served.
"""

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi import streams as stream_schemas
from daemon_programs.api.openapi.parameters import LOG_QUERY, list_query
from daemon_programs.api.openapi.responses import (
    LastRun,
    LogAnswer,
    NextCursor,
    ProcessStatus,
    Restarts,
    Success,
)
from daemon_programs.programs.observed.statuses import STATUSES
from daemon_programs.serializers.verbs import NoFieldsSerializer, TemporaryInputSerializer
from quick_start.api import examples
from quick_start.serializers import LISTED_FIELDS, SORTS, LaunchSerializer

_TAGS = ["quick start"]
_TEMPORARY_ID = "^quick_[0-9]+$"
_ID = OpenApiParameter(
    "id",
    {"type": "string", "pattern": _TEMPORARY_ID},
    OpenApiParameter.PATH,
    description="The `temporary_id` of the launch.",
)


class EphemeralStatus(ProcessStatus):
    """The status of a temporary program."""

    temporary_id = serializers.RegexField(_TEMPORARY_ID)
    name = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(required=False)


class EphemeralAnswer(Restarts, Success, EphemeralStatus):
    """A temporary program; once it has ended, with its last run."""

    display = serializers.CharField(required=False)
    attach = serializers.CharField(required=False, help_text="How to join its tmux session.")
    last_run = LastRun(required=False, help_text="Once it has ended.")


class LaunchAnswer(EphemeralAnswer):
    """A launched program, with its output if the call waited for its end."""

    duration_seconds = serializers.FloatField(required=False, help_text='With `wait: "exit"`.')
    stdout = serializers.CharField(required=False, help_text='With `wait: "exit"`: the last 100 lines.')
    stderr = serializers.CharField(required=False, help_text='With `wait: "exit"`: the last 100 lines.')
    truncated = serializers.BooleanField(
        required=False, help_text="True if older output had no room: an answer has at most 4 MiB."
    )


class ListedEphemeral(EphemeralStatus):
    """A temporary program in the list. With `fields` it has only these."""

    command = serializers.CharField()
    user = serializers.CharField()

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the fields, all of them optional."""
        fields = super().get_fields()
        for field in fields.values():
            field.required = False
        return fields


@extend_schema_serializer(many=False)
class EphemeralListAnswer(Success):
    """The list of temporary programs."""

    count = serializers.IntegerField()
    ephemeral_programs = ListedEphemeral(many=True)
    next = NextCursor()


class EphemeralStopAnswer(Success):
    """The confirmation that a temporary program was stopped."""

    temporary_id = serializers.RegexField(_TEMPORARY_ID)
    cleaned_up = serializers.BooleanField()
    message = serializers.CharField()


list_ephemeral = extend_schema(
    tags=_TAGS,
    operation_id="listEphemeralPrograms",
    summary="List temporary programs",
    description=(
        "Returns the temporary programs that run or await clean-up, in the order of their launches unless "
        "`sort` is given. The filters are combined with AND."
    ),
    parameters=list_query(STATUSES, SORTS, LISTED_FIELDS),
    responses=EphemeralListAnswer,
    examples=examples.LIST,
)
launch = extend_schema(
    tags=_TAGS,
    operation_id="quickStart",
    summary="Run a temporary program",
    description=(
        'The program is cleaned up when it ends. With `wait: "exit"` one call runs a command to its end '
        "and returns its outcome and its output."
    ),
    request=LaunchSerializer,
    responses=LaunchAnswer,
    examples=examples.LAUNCH,
)
ephemeral_status = extend_schema(
    tags=_TAGS,
    operation_id="getEphemeralStatus",
    summary="Get a temporary program's status",
    description="Returns the status, and for the retention time after its end how the program ended.",
    parameters=[_ID],
    responses=EphemeralAnswer,
    examples=examples.STATUS,
)
ephemeral_logs = extend_schema(
    tags=_TAGS,
    operation_id="getEphemeralLogs",
    summary="Read a temporary program's log",
    description="Returns the last lines, also for the retention time after the program's end.",
    parameters=[_ID, *LOG_QUERY],
    responses=LogAnswer,
    examples=examples.LOGS,
)
ephemeral_log_stream = stream_schemas.stream(
    tags=_TAGS,
    operation_id="streamEphemeralLog",
    summary="Follow a temporary program's log",
    description=(
        f"{stream_schemas.LOG_EVENTS}- `end` `{{status}}`: the program has ended and its whole log was "
        "sent, or `{reason}`: it was `removed`. It is the last event: close the stream."
    ),
    parameters=[_ID, *stream_schemas.LOG_STREAM_QUERY],
    examples=stream_schemas.stream_examples(stream_schemas.LINE, (None, "end", {"status": "exited"})),
)
write_ephemeral_input = extend_schema(
    tags=_TAGS,
    operation_id="writeEphemeralInput",
    summary="Write to a temporary program's standard input",
    description=(
        "For programs with `stdin: pipe`. The call does not wait for the program to read. It is answered "
        "with 503 (`input_full`) if more than 256 KiB would wait; then nothing was written."
    ),
    parameters=[_ID],
    request=TemporaryInputSerializer,
    responses=Success,
    examples=examples.WRITE_INPUT,
)
stop_ephemeral = extend_schema(
    tags=_TAGS,
    operation_id="stopEphemeralProgram",
    summary="Stop a temporary program",
    description="Stops the whole process tree. Responds once everything but the record is removed.",
    parameters=[_ID],
    request=NoFieldsSerializer,
    responses=EphemeralStopAnswer,
    examples=examples.STOP,
)
