"""The routes of hosts, without trailing slashes."""

from django.urls import path

from fleet.api.calls import CallViewSet
from fleet.api.passing import PassingViewSet

urlpatterns = [
    path("fleet/calls", CallViewSet.as_view({"get": "list"}), name="host-calls"),
    path(
        "hosts/<str:name>/api/v1/daemon/<path:route>",
        PassingViewSet.as_view({"get": "read", "post": "change"}),
        name="host-route",
    ),
]
