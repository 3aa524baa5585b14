"""Describe the routes of the history for the OpenAPI document."""

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.parameters import ID, PAGE, TIME_SCHEMA, query
from daemon_programs.api.openapi.responses import Success
from daemon_programs.programs.observed.statuses import STATUSES

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
    """A recorded state change of a program, or of one of its instances."""

    id = serializers.IntegerField(help_text="Ids ascend in the order of the events.")
    at = serializers.DateTimeField(help_text="UTC, to the millisecond.")
    program_id = serializers.IntegerField(required=False)
    temporary_id = serializers.CharField(required=False, help_text="The id of a temporary program.")
    name = serializers.CharField(allow_blank=True, help_text="The program's name at that time.")
    port = serializers.IntegerField(required=False, help_text="That of an instance of a port range.")
    instance = serializers.IntegerField(required=False, help_text="The number of an instance.")
    from_state = serializers.ChoiceField(choices=STATUSES)
    state = serializers.ChoiceField(choices=STATUSES)
    pid = serializers.IntegerField(required=False)
    exit_code = serializers.IntegerField(required=False, help_text="That of the run that ended.")
    signal = serializers.CharField(required=False, help_text="The signal that ended a run.")
    error = serializers.CharField(required=False, help_text="Why it could not be run, or what is not known.")
    by = serializers.CharField(
        help_text=(
            "What caused the change. `api`, `admin`, `command`: a request. `boot`, `shutdown`: the daemon's "
            "start or end. `ttl`: the end of a time to live. `max_runtime`: the end of the longest run. "
            "`supervisord`: the program's configuration, for example a restart. `daemon`: reconciliation or "
            "clean-up. `gap`: see the field `gap`."
        )
    )
    user = serializers.CharField(
        required=False,
        help_text="The user who requested the change; with the header `On-Behalf-Of`: `hub for alice`.",
    )
    gap = serializers.BooleanField(
        help_text="True if the change was not observed, but follows from the states found after a crash."
    )
    repeated = serializers.IntegerField(
        required=False,
        help_text="For how many rounds of a loop of restarts the event stands. `at` is the time of the last.",
    )


@extend_schema_serializer(many=False)
class EventsAnswer(Success):
    """A page of events."""

    events = EventShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the next page, or null.")


_QUERY: list[OpenApiParameter] = [
    query("since", TIME_SCHEMA, "Only events at this time or later; `10m` is 10 minutes ago."),
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
    description="State changes of all programs, including temporary ones, newest first.",
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
