"""The routes of webhooks: what was delivered, once more, and what it is signed with."""

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import CHANGE, OPERATE, VIEW, DaemonViewSet, checked
from daemon_programs.api.openapi import deliveries as shapes
from daemon_programs.api.paging import page
from daemon_programs.models import Delivery
from daemon_programs.programs import services
from daemon_programs.serializers.queries import DeliveryQuerySerializer
from daemon_programs.serializers.verbs import NoFieldsSerializer
from daemon_programs.webhooks import deliveries, signing

_VIEW_DELIVERIES = "daemon_programs.view_delivery"


class DeliveryViewSet(DaemonViewSet):
    """Webhooks of one program."""

    permissions_of = {
        "list": [*VIEW, _VIEW_DELIVERIES],
        "redeliver": [*OPERATE, _VIEW_DELIVERIES],
        "rotate_secret": CHANGE,
    }

    @shapes.list_deliveries
    def list(self, request: Request, id: str) -> Response:
        program = services.get_program(id)
        query = checked(DeliveryQuerySerializer, request.query_params)
        found = Delivery.objects.filter(program_id=program.pk).select_related("event")
        if "state" in query:
            found = found.filter(state=query["state"])
        shown, next_cursor = page(found, query)
        documents = [deliveries.delivery_document(delivery) for delivery in shown]
        return Response({"success": True, "deliveries": documents, "next": next_cursor})

    @shapes.redeliver
    def redeliver(self, request: Request, id: str, delivery_id: str) -> Response:
        program = services.get_program(id)
        delivery = deliveries.get_delivery(program.pk, delivery_id)
        checked(NoFieldsSerializer, request.data)
        deliveries.redeliver(delivery)
        return Response({"success": True})

    @shapes.rotate_secret
    def rotate_secret(self, request: Request, id: str) -> Response:
        program = services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return Response({"success": True, "secret": signing.rotate(program)})
