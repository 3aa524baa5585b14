"""The routes of hosts, without trailing slashes. ``hosts/join``, which takes no token, is the site's."""

from django.urls import path

from fleet.api.calls import CallViewSet
from fleet.api.fleet import FleetViewSet
from fleet.api.hosts import HostViewSet
from fleet.api.passing import PassingViewSet
from fleet.api.rollouts import RolloutViewSet

urlpatterns = [
    path("fleet/calls", CallViewSet.as_view({"get": "list"}), name="host-calls"),
    path(
        "hosts/<str:name>/api/v1/daemon/<path:route>",
        PassingViewSet.as_view({"get": "read", "post": "change"}),
        name="host-route",
    ),
    path("hosts", HostViewSet.as_view({"get": "list"}), name="hosts"),
    path("hosts/add", HostViewSet.as_view({"post": "add"}), name="host-add"),
    path("hosts/edit/<str:name>", HostViewSet.as_view({"post": "edit"}), name="host-edit"),
    path("hosts/remove/<str:name>", HostViewSet.as_view({"post": "remove"}), name="host-remove"),
    path("hosts/invite", HostViewSet.as_view({"post": "invite"}), name="host-invite"),
    path("hosts/<str:name>", HostViewSet.as_view({"get": "retrieve"}), name="host"),
    path("hosts/<str:name>/check", HostViewSet.as_view({"post": "check"}), name="host-check"),
    path("fleet/apply", RolloutViewSet.as_view({"post": "apply"}), name="fleet-apply"),
    path("fleet/batch", RolloutViewSet.as_view({"post": "batch"}), name="fleet-batch"),
    path("fleet/rollouts", RolloutViewSet.as_view({"get": "list"}), name="rollouts"),
    path("fleet/rollouts/<str:id>", RolloutViewSet.as_view({"get": "retrieve"}), name="rollout"),
    path("fleet/rollouts/<str:id>/pause", RolloutViewSet.as_view({"post": "pause"}), name="rollout-pause"),
    path("fleet/rollouts/<str:id>/resume", RolloutViewSet.as_view({"post": "resume"}), name="rollout-resume"),
    path("fleet/rollouts/<str:id>/cancel", RolloutViewSet.as_view({"post": "cancel"}), name="rollout-cancel"),
    path(
        "fleet/rollouts/<str:id>/rollback",
        RolloutViewSet.as_view({"post": "rollback"}),
        name="rollout-rollback",
    ),
    path("fleet/programs", FleetViewSet.as_view({"get": "programs"}), name="fleet-programs"),
    path("fleet/status", FleetViewSet.as_view({"get": "status"}), name="fleet-status"),
    path("fleet/events", FleetViewSet.as_view({"get": "events"}), name="fleet-events"),
    path("fleet/events/stream", FleetViewSet.as_view({"get": "stream"}), name="fleet-event-stream"),
    path("fleet/usage", FleetViewSet.as_view({"get": "usage"}), name="fleet-usage"),
    path("fleet/logs", FleetViewSet.as_view({"get": "logs"}), name="fleet-logs"),
]
