"""The routes of webhooks: list deliveries, redeliver one, and rotate the secret that signs them."""

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import CHANGE, OPERATE, VIEW, DaemonViewSet, checked
from daemon_programs.api.openapi import deliveries as schemas
from daemon_programs.api.paging import page
from daemon_programs.models import Delivery
from daemon_programs.programs import services
from daemon_programs.serializers.queries import DeliveryQuerySerializer
from daemon_programs.serializers.verbs import NoFieldsSerializer
from daemon_programs.webhooks import deliveries, signing

_VIEW_DELIVERIES = "daemon_programs.view_delivery"


class DeliveryViewSet(DaemonViewSet):
    """The webhook deliveries of one program."""

    permissions_of = {
        "list": [*VIEW, _VIEW_DELIVERIES],
        "redeliver": [*OPERATE, _VIEW_DELIVERIES],
        "rotate_secret": CHANGE,
    }
    query_of = {"list": DeliveryQuerySerializer}

    @schemas.list_deliveries
    def list(self, request: Request, id: str) -> Response:
        """Return a page of deliveries, newest first."""
        program = services.get_program(id)
        query = self.query(request)
        records = Delivery.objects.filter(program_id=program.pk).select_related("event")
        if "state" in query:
            records = records.filter(state=query["state"])
        shown, next_cursor = page(records, query)
        documents = [deliveries.delivery_document(delivery) for delivery in shown]
        return Response({"success": True, "deliveries": documents, "next": next_cursor})

    @schemas.redeliver
    def redeliver(self, request: Request, id: str, delivery_id: str) -> Response:
        """Deliver a finished delivery again."""
        program = services.get_program(id)
        delivery = deliveries.get_delivery(program.pk, delivery_id)
        checked(NoFieldsSerializer, request.data)
        deliveries.redeliver(delivery)
        return Response({"success": True})

    @schemas.rotate_secret
    def rotate_secret(self, request: Request, id: str) -> Response:
        """Replace the secret, and return the new one."""
        program = services.get_program(id)
        checked(NoFieldsSerializer, request.data)
        return Response({"success": True, "secret": signing.rotate(program)})
