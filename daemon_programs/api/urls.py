"""The routes of the API, without trailing slashes (docs/contract.md, section 2)."""

from django.urls import path

from daemon_programs.api.batch import BatchViewSet
from daemon_programs.api.deliveries import DeliveryViewSet
from daemon_programs.api.events import EventViewSet
from daemon_programs.api.machine import MachineViewSet
from daemon_programs.api.merged_logs import MergedLogViewSet
from daemon_programs.api.once import RequestViewSet
from daemon_programs.api.programs import ProgramViewSet
from daemon_programs.api.status import StatusViewSet

urlpatterns = [
    path("programs", ProgramViewSet.as_view({"get": "list"}), name="programs"),
    path("programs/add", ProgramViewSet.as_view({"post": "add"}), name="program-add"),
    path("programs/edit/<str:id>", ProgramViewSet.as_view({"post": "edit"}), name="program-edit"),
    path("programs/remove/<str:id>", ProgramViewSet.as_view({"post": "remove"}), name="program-remove"),
    path("programs/batch", BatchViewSet.as_view({"post": "run"}), name="programs-batch"),
    path("programs/reset", ProgramViewSet.as_view({"post": "reset"}), name="programs-reset"),
    path("programs/apply", ProgramViewSet.as_view({"post": "apply"}), name="programs-apply"),
    path("programs/<str:id>", ProgramViewSet.as_view({"get": "retrieve"}), name="program"),
    path("programs/<str:id>/enable", ProgramViewSet.as_view({"post": "enable"}), name="program-enable"),
    path("programs/<str:id>/disable", ProgramViewSet.as_view({"post": "disable"}), name="program-disable"),
    path("programs/<str:id>/start", ProgramViewSet.as_view({"post": "start"}), name="program-start"),
    path("programs/<str:id>/stop", ProgramViewSet.as_view({"post": "stop"}), name="program-stop"),
    path("programs/<str:id>/restart", ProgramViewSet.as_view({"post": "restart"}), name="program-restart"),
    path("programs/<str:id>/signal", ProgramViewSet.as_view({"post": "signal"}), name="program-signal"),
    path("programs/<str:id>/reload", ProgramViewSet.as_view({"post": "reload"}), name="program-reload"),
    path("programs/<str:id>/input", ProgramViewSet.as_view({"post": "write_input"}), name="program-input"),
    path("programs/<str:id>/logs", ProgramViewSet.as_view({"get": "logs"}), name="program-logs"),
    path(
        "programs/<str:id>/deliveries",
        DeliveryViewSet.as_view({"get": "list"}),
        name="program-deliveries",
    ),
    path(
        "programs/<str:id>/deliveries/<str:delivery_id>/redeliver",
        DeliveryViewSet.as_view({"post": "redeliver"}),
        name="delivery-redeliver",
    ),
    path(
        "programs/<str:id>/webhooks/rotate-secret",
        DeliveryViewSet.as_view({"post": "rotate_secret"}),
        name="webhook-secret-rotate",
    ),
    path(
        "programs/<str:id>/logs/stream",
        ProgramViewSet.as_view({"get": "log_stream"}),
        name="program-log-stream",
    ),
    path("programs/<str:id>/events", EventViewSet.as_view({"get": "of_program"}), name="program-events"),
    path("events", EventViewSet.as_view({"get": "list"}), name="events"),
    path("events/stream", EventViewSet.as_view({"get": "stream"}), name="event-stream"),
    path("logs", MergedLogViewSet.as_view({"get": "list"}), name="logs"),
    path("logs/stream", MergedLogViewSet.as_view({"get": "stream"}), name="logs-stream"),
    path("machine", MachineViewSet.as_view({"get": "retrieve"}), name="machine"),
    path("requests/<str:key>", RequestViewSet.as_view({"get": "retrieve"}), name="request"),
    path("status", StatusViewSet.as_view({"get": "list"}), name="statuses"),
    path("status/<str:id>", StatusViewSet.as_view({"get": "retrieve"}), name="status"),
]
