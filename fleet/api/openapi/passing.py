"""Describe the routes of what is passed on to hosts for the OpenAPI document."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.examples import request_example, response_example
from daemon_programs.api.openapi.parameters import PAGE, TIME_SCHEMA, query
from daemon_programs.api.openapi.responses import Success
from fleet.serializers.calls import MOST_HOST, MOST_USER

_TAGS = ["hosts"]
_CALL = {
    "id": 17,
    "at": "2026-11-21T18:40:00.123Z",
    "user": "alice",
    "host": "web-1",
    "method": "POST",
    "path": "/api/v1/daemon/programs/1/restart",
    "code": 200,
}


class CallShape(serializers.Serializer):
    """A request that was passed on to a host and may have changed something there."""

    id = serializers.IntegerField(help_text="Ids ascend in the order of the calls.")
    at = serializers.DateTimeField(help_text="UTC, to the millisecond.")
    user = serializers.CharField(help_text="Who asked for it.")
    host = serializers.CharField(help_text="The host's name at that time.")
    method = serializers.CharField()
    path = serializers.CharField(help_text="On the host, without the query.")
    code = serializers.IntegerField(
        required=False,
        help_text="The HTTP status. Without it, it is not known whether the request has arrived.",
    )
    error = serializers.CharField(
        required=False, help_text="What went wrong, in the words of the host or the hub."
    )


@extend_schema_serializer(many=False)
class CallsAnswer(Success):
    """A page of calls."""

    calls = CallShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the next page, or null.")


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": r"^[^\n\u0000]*$"}


list_calls = extend_schema(
    tags=_TAGS,
    operation_id="listHostCalls",
    summary="List what was passed on to hosts",
    description=(
        "Each POST that was passed on to a host: by whom, to which route, with which outcome. Newest first."
    ),
    parameters=[
        query("user", _text(MOST_USER), "Only calls of this user."),
        query("host", _text(MOST_HOST), "Only calls to the host of this name."),
        query("since", TIME_SCHEMA, "Only calls at this time or later; `10m` is 10 minutes ago."),
        *PAGE,
    ],
    responses=CallsAnswer,
    examples=[
        OpenApiExample("a page", {"success": True, "calls": [_CALL], "next": "17"}, response_only=True),
    ],
)

_PATH = [
    OpenApiParameter("name", _text(MOST_HOST), OpenApiParameter.PATH, description="The name of the host."),
    OpenApiParameter(
        "route",
        {"type": "string", "pattern": "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$"},
        OpenApiParameter.PATH,
        description="A route of the API below its base path, such as `programs/1/restart`, with slashes.",
    ),
]
_ABOUT = (
    "The query, the body and the answer are those of the route on the host, which also checks them; streams "
    "work, and are resumed as there. It takes the permissions that the route takes here, and `view_host`"
)

read_of_host = extend_schema(
    tags=_TAGS,
    operation_id="readOfHost",
    summary="Ask a host",
    description=f"Passes a GET on to a host. {_ABOUT}.",
    parameters=_PATH,
    responses=OpenApiTypes.OBJECT,
    examples=[response_example("Of `status/1`", status={"id": 1, "status": "running", "pid": 4711})],
)
change_on_host = extend_schema(
    tags=_TAGS,
    operation_id="changeOnHost",
    summary="Change something on a host",
    description=(
        f"Passes a POST on to a host, once. {_ABOUT} and `operate_host`. The history of the host has the "
        "person behind the user of the hub's token, and `fleet/calls` has the call."
    ),
    parameters=_PATH,
    request=OpenApiTypes.OBJECT,
    responses=OpenApiTypes.OBJECT,
    examples=[request_example("Of `programs/1/restart`", wait=True), response_example("Restarted")],
)
