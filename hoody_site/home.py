"""The start page ``/``, which links to everything else."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.template import loader
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from hoody_site.access.hosts import is_for_sessions
from hoody_site.api.pages.renderer import ApiPageRenderer
from hoody_site.api.ready import working_parts
from hoody_site.api.renderers import FastJSONRenderer


class HomePageRenderer(ApiPageRenderer):
    """Show browsers where to begin. Everybody may see this page, so it tells nothing of the programs."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the page; errors look as on every page of the API."""
        context = renderer_context or {}
        if not status.is_success(context["response"].status_code):
            page: str = super().render(data, accepted_media_type, context)
            return page
        parts = working_parts()
        shown = {
            "parts": parts,
            "is_ready": all(parts.values()),
            "is_for_sessions": is_for_sessions(context["request"]),
            "metrics_are_open": settings.METRICS_OPEN,
            "base": context["request"].build_absolute_uri("/api/v1/daemon"),
            "token_file": settings.API_TOKEN_FILE,
            "host_file": settings.ADMIN_HOST_FILE,
        }
        return loader.render_to_string("hoody_site/home.html", shown, request=context["request"])


@extend_schema(exclude=True)
class HomeView(APIView):
    """The daemon API: programs of this host, run by supervisord. Follow the links."""

    name = "Daemon API"
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    renderer_classes = [FastJSONRenderer, HomePageRenderer]
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
