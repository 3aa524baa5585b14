"""What the routes of webhooks take and answer, for OpenAPI; and the query of the list."""

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.api.openapi.examples import answered, sent
from daemon_programs.api.openapi.parameters import ID, PAGE, query
from daemon_programs.api.openapi.responses import Success
from daemon_programs.models import Delivery
from daemon_programs.serializers.verbs import NoFieldsSerializer
from daemon_programs.validators import webhook_config

_TAGS = ["webhooks"]


class AttemptShape(serializers.Serializer):
    """One try. Without `error` it was delivered."""

    at = serializers.DateTimeField(help_text="UTC, milliseconds.")
    milliseconds = serializers.IntegerField(help_text="How long it took.")
    code = serializers.IntegerField(required=False, help_text="What was answered, if anything was.")
    error = serializers.CharField(required=False, help_text="Why it failed.")


class DeliveryShape(serializers.Serializer):
    """One event for one URL."""

    id = serializers.IntegerField()
    webhook_id = serializers.CharField(help_text="The header `webhook-id`: the same for each attempt.")
    event_id = serializers.IntegerField(help_text="The `id` of the event.")
    event = serializers.ChoiceField(choices=webhook_config.EVENTS)
    port = serializers.IntegerField(required=False, help_text="Of an instance.")
    url = serializers.CharField()
    state = serializers.ChoiceField(choices=Delivery.STATES)
    error = serializers.CharField(required=False, help_text="Why it was given up, or cancelled.")
    created_at = serializers.DateTimeField()
    next_attempt_at = serializers.DateTimeField(required=False, help_text="While it is pending.")
    attempts = AttemptShape(many=True, help_text="The oldest first.")


@extend_schema_serializer(many=False)
class DeliveriesAnswer(Success):
    deliveries = DeliveryShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="`cursor` of the next page; null: there is none.")


class SecretAnswer(Success):
    secret = serializers.CharField(help_text="Shown this once.")


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
    description="What was delivered, is on its way, or was given up; newest first.",
    parameters=[
        ID,
        query("state", {"type": "string", "enum": list(Delivery.STATES)}, "Only those."),
        *PAGE,
    ],
    responses=DeliveriesAnswer,
    examples=[answered("A page", deliveries=[_EXAMPLE], next=None)],
)
redeliver = extend_schema(
    tags=_TAGS,
    operation_id="redeliver",
    summary="Deliver a webhook once more",
    description=(
        "With the same `webhook-id`, retries included. Refused while it is on its way, and when the "
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
    examples=[sent("Empty body"), answered("On its way")],
)
rotate_secret = extend_schema(
    tags=_TAGS,
    operation_id="rotateWebhookSecret",
    summary="Make a new secret for a program's webhooks",
    description=(
        "Shown this once. Deliveries are signed as the Standard Webhooks specification says; for 24 hours "
        "with the secret of before as well."
    ),
    parameters=[ID],
    request=NoFieldsSerializer,
    responses=SecretAnswer,
    examples=[
        sent("Empty body"),
        answered("A new secret", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw3yvEpkbLMfM="),  # noqa: S106
    ],
)
