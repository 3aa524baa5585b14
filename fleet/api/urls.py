"""The routes of hosts, without trailing slashes."""

from django.urls import URLPattern, path

from fleet.api.rollouts import RolloutViewSet

urlpatterns: list[URLPattern] = [
    # Roll-outs
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
]
