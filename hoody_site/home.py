"""The start page ``/``, which links to everything else."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView


@extend_schema(exclude=True)
class HomeView(APIView):
    """The daemon API: programs of this host, run by supervisord. Follow the links."""

    name = "Daemon API"
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    http_method_names = ["get", "head"]

    def get_view_name(self) -> str:
        """Return the title of the page."""
        return self.name

    def get(self, request: Request) -> Response:
        """Return the absolute URLs by name."""
        names = {
            "health": "health",
            "programs": "programs",
            "status": "statuses",
            "quick-start": "quick-start",
            "metrics": "metrics",
            "documentation": "docs",
            "openapi": "schema",
            "admin": "admin:index",
        }
        return Response({title: reverse(name, request=request) for title, name in names.items()})
