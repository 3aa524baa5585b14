"""Describe requests with an ``Idempotency-Key`` for the OpenAPI document."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers

from daemon_programs.api.openapi.examples import response_example
from daemon_programs.api.openapi.responses import Success

_PATTERN = "^[A-Za-z0-9._~-]{1,100}$"
STATES = ("unknown", "under_way", "answered", "interrupted")
KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": _PATTERN},
    OpenApiParameter.HEADER,
    description="A text of the client's own for this request. If it is sent again with the same key and "
    "body within a day, nothing is done, and the answer is that of the first time.",
)


class KeptRequest(Success):
    """What has become of a request with a key."""

    key = serializers.CharField()
    state = serializers.ChoiceField(
        choices=STATES,
        help_text="`unknown`: no such request has arrived. `interrupted`: the API ended before it was "
        "answered, so it may have been carried out or not.",
    )
    code = serializers.IntegerField(required=False, help_text="The status of the answer.")
    answer = serializers.JSONField(required=False)


retrieve_request = extend_schema(
    tags=["programs"],
    operation_id="getRequest",
    summary="Get the answer to an earlier request",
    description=(
        "Tells what has become of a request that was sent with an `Idempotency-Key` by the same user, for a "
        "client that has lost the connection before the answer."
    ),
    parameters=[OpenApiParameter("key", {"type": "string", "pattern": _PATTERN}, OpenApiParameter.PATH)],
    responses=KeptRequest,
    examples=[
        response_example("Unknown", key="deploy-17", state="unknown"),
        response_example("Answered", key="deploy-17", state="answered", code=200, answer={"success": True}),
    ],
)
