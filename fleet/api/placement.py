"""``POST fleet/quick-start``: a temporary program on the host with the most room."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.api.base import DaemonViewSet, checked
from fleet.api.openapi import placement as shapes
from fleet.placement.launch import launch
from fleet.serializers.placement import PlacedLaunchSerializer
from quick_start.api.views import LAUNCH

PLACE = ["fleet.view_host", "fleet.operate_host", *LAUNCH]


class PlacementViewSet(DaemonViewSet):
    """Run temporary programs on hosts."""

    permissions_of = {"launch": PLACE}

    @shapes.launch
    def launch(self, request: Request) -> Response:
        """Run a temporary program on one of the hosts."""
        values = checked(PlacedLaunchSerializer, request.data)
        body: dict[str, Any] = dict(request.data)  # as it was sent: the host fills in its own defaults
        body.pop("hosts", None)
        answer = launch(
            body,
            **values.get("hosts", {}),
            wait=values["wait"],
            timeout=values["timeout"],
            user=request.user.get_username(),
        )
        return Response(answer.document, status=answer.code)
