"""Describe the routes of webhooks for the OpenAPI document."""

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.examples import request_example, response_example
from daemon_programs.api.openapi.parameters import ID, PAGE, query
from daemon_programs.api.openapi.responses import Success
from daemon_programs.models import Delivery
from daemon_programs.serializers.verbs import NoFieldsSerializer
from daemon_programs.validators import webhook_config

_TAGS = ["webhooks"]


class AttemptShape(serializers.Serializer):
    """One attempt. Without `error` it was successful."""

    at = serializers.DateTimeField(help_text="UTC, milliseconds.")
    milliseconds = serializers.IntegerField(help_text="How long it took.")
    code = serializers.IntegerField(required=False, help_text="The HTTP status of the response, if any.")
    error = serializers.CharField(required=False, help_text="Why it failed.")


class DeliveryShape(serializers.Serializer):
    """The delivery of one event to one URL."""

    id = serializers.IntegerField()
    webhook_id = serializers.CharField(help_text="The header `webhook-id`: the same for each attempt.")
    event_id = serializers.IntegerField(help_text="The `id` of the event.")
    event = serializers.ChoiceField(choices=webhook_config.EVENTS)
    port = serializers.IntegerField(required=False, help_text="That of an instance of a port range.")
    instance = serializers.IntegerField(required=False, help_text="The number of an instance.")
    url = serializers.CharField()
    state = serializers.ChoiceField(choices=Delivery.STATES)
    error = serializers.CharField(required=False, help_text="Why it failed or was cancelled.")
    created_at = serializers.DateTimeField()
    next_attempt_at = serializers.DateTimeField(required=False, help_text="Present while it is pending.")
    attempts = AttemptShape(many=True, help_text="Oldest first.")


@extend_schema_serializer(many=False)
class DeliveriesAnswer(Success):
    """A page of deliveries."""

    deliveries = DeliveryShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="The `cursor` of the next page, or null.")


class SecretAnswer(Success):
    """A new webhook secret."""

    secret = serializers.CharField(help_text="Shown only this once.")


_EXAMPLE = {
    "id": 71,
    "webhook_id": "msg_8f14e45fceea467fa3f1a2c9b7a4d0e1",
    "event_id": 1042,
    "event": "EXITED",
    "url": "https://example.com/hook",
    "state": "delivered",
    "created_at": "2026-11-21T18:40:00.130Z",
    "attempts": [
        {
            "at": "2026-11-21T18:40:00.912Z",
            "milliseconds": 85,
            "code": 503,
            "error": "It answered 503",
        },
        {"at": "2026-11-21T18:40:02.034Z", "milliseconds": 61, "code": 204},
    ],
}

list_deliveries = extend_schema(
    tags=_TAGS,
    operation_id="listDeliveries",
    summary="List a program's webhook deliveries",
    description="Pending and finished deliveries, newest first.",
    parameters=[
        ID,
        query("state", {"type": "string", "enum": list(Delivery.STATES)}, "Only deliveries in this state."),
        *PAGE,
    ],
    responses=DeliveriesAnswer,
    examples=[response_example("A page", deliveries=[_EXAMPLE], next=None)],
)
redeliver = extend_schema(
    tags=_TAGS,
    operation_id="redeliver",
    summary="Redeliver a webhook",
    description=(
        "Delivers it again with the same `webhook-id`, with retries. Refused while it is pending, and if the "
        "program's webhooks no longer name its URL."
    ),
    parameters=[
        ID,
        OpenApiParameter(
            "delivery_id",
            {"type": "integer", "format": "int64", "minimum": 1},
            OpenApiParameter.PATH,
            description="The delivery's id.",
        ),
    ],
    request=NoFieldsSerializer,
    responses=Success,
    examples=[request_example("Empty body"), response_example("Queued")],
)
rotate_secret = extend_schema(
    tags=_TAGS,
    operation_id="rotateWebhookSecret",
    summary="Rotate the secret of a program's webhooks",
    description=(
        "Returns a new secret, which is shown only this once. Deliveries are signed according to the "
        "Standard Webhooks specification, for 24 hours with the previous secret as well."
    ),
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=SecretAnswer,
    examples=[
        request_example("Empty body"),
        response_example("A new secret", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw3yvEpkbLMfM="),  # noqa: S106
    ],
)
