"""The routes of hosts, without trailing slashes."""

from django.urls import URLPattern, path

from fleet.api.fleet import FleetViewSet

urlpatterns: list[URLPattern] = [
    path("fleet/programs", FleetViewSet.as_view({"get": "programs"}), name="fleet-programs"),
    path("fleet/status", FleetViewSet.as_view({"get": "status"}), name="fleet-status"),
    path("fleet/events", FleetViewSet.as_view({"get": "events"}), name="fleet-events"),
    path("fleet/events/stream", FleetViewSet.as_view({"get": "stream"}), name="fleet-event-stream"),
    path("fleet/usage", FleetViewSet.as_view({"get": "usage"}), name="fleet-usage"),
    path("fleet/logs", FleetViewSet.as_view({"get": "logs"}), name="fleet-logs"),
]
