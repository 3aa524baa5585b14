"""``GET /metrics``, for Prometheus and other systems that read its format."""

from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from daemon_programs.api.base import VIEW, DaemonViewSet
from hoody_site.api.renderers import FastJSONRenderer
from hoody_site.metrics import latency
from hoody_site.metrics.collector import DaemonCollector

REGISTRY = CollectorRegistry()
REGISTRY.register(DaemonCollector())
REGISTRY.register(latency.duration)
REGISTRY.register(latency.in_flight)
ProcessCollector(registry=REGISTRY)  # metrics of the API's own process

_MEDIA_TYPE = "text/plain"
EXAMPLE = """\
# HELP daemon_programs Registered programs by status; one with instances is running while one of them is.
# TYPE daemon_programs gauge
daemon_programs{state="running"} 12.0
daemon_programs{state="fatal"} 1.0
# HELP daemon_program_restarts_total How often supervisord has started it again by itself.
# TYPE daemon_program_restarts_total counter
daemon_program_restarts_total{id="7",name="web",port=""} 3.0
"""


class MetricsViewSet(DaemonViewSet):
    """Serve the metrics; without authentication if DAEMON_METRICS_OPEN is set."""

    permissions_of = {"scrape": VIEW}
    renderer_classes = [FastJSONRenderer]  # for errors

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return no authenticators if the metrics are open."""
        return [] if settings.METRICS_OPEN else super().get_authenticators()

    def get_permissions(self) -> Sequence[Any]:
        """Return no permissions if the metrics are open."""
        return [] if settings.METRICS_OPEN else super().get_permissions()

    @extend_schema(
        tags=["metrics"],
        operation_id="getMetrics",
        summary="Get metrics",
        description=(
            "Programs, their restarts, CPU, memory and processes, webhooks, and the API itself, in the text "
            "format of Prometheus, or in that of OpenMetrics if `Accept` asks for it."
        ),
        responses={(200, _MEDIA_TYPE): OpenApiTypes.STR},
        examples=[OpenApiExample("a part", EXAMPLE, response_only=True, media_type=_MEDIA_TYPE)],
    )
    def scrape(self, request: Request) -> HttpResponse:
        """Return the metrics in the format that the client accepts."""
        encode, content_type = _encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(REGISTRY), content_type=content_type)


def _encoder(accept: str) -> tuple[Callable[[Any], bytes], str]:
    """Return the encoder and the content type for an Accept header."""
    try:
        return choose_encoder(accept)
    except TypeError:  # the library raises it for a version that is not a number
        return choose_encoder("")
