"""What the history's routes are and answer, for OpenAPI. Nothing here runs when a request is served."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.parameters import ID, PAGE, query
from daemon_programs.api.openapi.responses import Success
from daemon_programs.programs.statuses import STATUSES

_TAGS = ["events"]
EXAMPLE = {
    "id": 1042,
    "at": "2026-11-21T18:40:00.123Z",
    "program_id": 1,
    "name": "web",
    "from_state": "running",
    "state": "exited",
    "pid": 4711,
    "exit_code": 1,
    "by": "supervisord",
    "gap": False,
}


class EventShape(serializers.Serializer):
    """A state change of a program, or of an instance of a port range."""

    id = serializers.IntegerField(help_text="Its place in the order.")
    at = serializers.DateTimeField(help_text="UTC, milliseconds.")
    program_id = serializers.IntegerField(required=False)
    temporary_id = serializers.CharField(required=False, help_text="Of a temporary program instead.")
    name = serializers.CharField(allow_blank=True, help_text="The program's at that time.")
    port = serializers.IntegerField(required=False, help_text="Of an instance.")
    from_state = serializers.ChoiceField(choices=STATUSES)
    state = serializers.ChoiceField(choices=STATUSES)
    pid = serializers.IntegerField(required=False)
    exit_code = serializers.IntegerField(required=False, help_text="When a run has ended.")
    signal = serializers.CharField(required=False, help_text="That ended the run.")
    error = serializers.CharField(required=False, help_text="Why it could not be run, or what is unknown.")
    by = serializers.CharField(
        help_text=(
            "`api`, `admin`, `command`: somebody asked. `boot`, `ttl`, `shutdown`: the daemon's start, the "
            "end of a time to live, the daemon's end. `supervisord`: what follows from the configuration, "
            "restarts for one. `daemon`: reconciliation, clean-up. `gap`: see there."
        )
    )
    user = serializers.CharField(required=False, help_text="Who asked.")
    gap = serializers.BooleanField(
        help_text="True: nobody told; it follows from what was found after a crash."
    )


@extend_schema_serializer(many=False)
class EventsAnswer(Success):
    events = EventShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page; null: there is none.")


_QUERY: list[OpenApiParameter] = [
    query("since", {"type": "string", "format": "date-time"}, "Not what happened before this time."),
    query("state", {"type": "string", "enum": list(STATUSES)}, "Only changes to this state."),
    *PAGE,
]
_EXAMPLES = [
    OpenApiExample("a page", {"success": True, "events": [EXAMPLE], "next": "1042"}, response_only=True)
]

list_events = extend_schema(
    tags=_TAGS,
    operation_id="listEvents",
    summary="List events",
    description="State changes of all programs, temporary ones as well, newest first.",
    parameters=_QUERY,
    responses=EventsAnswer,
    examples=_EXAMPLES,
)
program_events = extend_schema(
    tags=_TAGS,
    operation_id="listProgramEvents",
    summary="List a program's events",
    description="State changes of one program and its instances, newest first.",
    parameters=[ID, *_QUERY],
    responses=EventsAnswer,
    examples=_EXAMPLES,
)
