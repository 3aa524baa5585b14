"""The routes of quick start (docs/contract.md, section 2)."""

from django.urls import path

from quick_start.api.views import QuickStartViewSet

urlpatterns = [
    path("quick-start", QuickStartViewSet.as_view({"get": "list", "post": "launch"}), name="quick-start"),
    path("quick-start/<str:id>/status", QuickStartViewSet.as_view({"get": "status"}), name="launch-status"),
    path("quick-start/<str:id>/logs", QuickStartViewSet.as_view({"get": "logs"}), name="launch-logs"),
    path(
        "quick-start/<str:id>/logs/stream",
        QuickStartViewSet.as_view({"get": "log_stream"}),
        name="launch-log-stream",
    ),
    path(
        "quick-start/<str:id>/input", QuickStartViewSet.as_view({"post": "write_input"}), name="launch-input"
    ),
    path("quick-start/<str:id>/stop", QuickStartViewSet.as_view({"post": "stop"}), name="launch-stop"),
]
