"""The routes of hosts, without trailing slashes."""

from django.urls import URLPattern, path

from fleet.api.placement import PlacementViewSet

urlpatterns: list[URLPattern] = [
    path("fleet/quick-start", PlacementViewSet.as_view({"post": "launch"}), name="fleet-quick-start"),
]
