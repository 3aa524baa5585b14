"""``GET health``, which needs no authentication and is cheap (docs/contract.md, section 2)."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from daemon_programs.serializers.queries import check_keys

SERVICE = "hoody-daemon"


def _iso(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _built() -> str:
    """Return the time of the newest source file, as the build time of this version."""
    packages = ("hoody_site", "daemon_programs", "quick_start", "fleet")
    sources = (file for name in packages for file in Path(settings.BASE_DIR, name).rglob("*.py"))
    return _iso(max(file.stat().st_mtime for file in sources))


BUILT = _built()
_PROCESS = psutil.Process()
STARTED = _iso(_PROCESS.create_time())


class Memory(serializers.Serializer):
    """Memory of the API's process."""

    rss = serializers.IntegerField(help_text="Bytes.")
    heap = serializers.IntegerField(allow_null=True)


class Health(serializers.Serializer):
    """The response of the health route."""

    status = serializers.ChoiceField(choices=["ok"])
    service = serializers.CharField()
    built = serializers.DateTimeField()
    started = serializers.DateTimeField()
    memory = Memory()
    fds = serializers.IntegerField(help_text="Open file descriptors.")
    pid = serializers.IntegerField()
    ip = serializers.CharField(help_text="The address of the client.")
    userAgent = serializers.CharField(help_text="The client's User-Agent.")  # noqa: N815  (the contract's name)


EXAMPLE = {
    "status": "ok",
    "service": SERVICE,
    "built": "2026-11-01T10:00:00Z",
    "started": "2026-11-21T08:00:00Z",
    "memory": {"rss": 61865984, "heap": None},
    "fds": 42,
    "pid": 1234,
    "ip": "127.0.0.1",
    "userAgent": "curl/8.5.0",
}


class OpenView(APIView):
    """A route without authentication and query parameters."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    http_method_names = ["get", "head"]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse all query parameters (docs/contract.md, section 1)."""
        super().initial(request, *args, **kwargs)
        check_keys(request.query_params, ())


class HealthView(OpenView):
    """Report that the API answers, with a few figures about its process."""

    @extend_schema(
        tags=["health"],
        operation_id="getHealth",
        summary="Get health",
        auth=[],
        responses=Health,
        examples=[OpenApiExample("Healthy", EXAMPLE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        """Report that the API answers, with a few figures about its process."""
        return Response(
            {
                "status": "ok",
                "service": SERVICE,
                "built": BUILT,
                "started": STARTED,
                "memory": {"rss": _PROCESS.memory_info().rss, "heap": None},
                "fds": _PROCESS.num_fds(),
                "pid": os.getpid(),
                "ip": request.META.get("REMOTE_ADDR", ""),
                "userAgent": request.headers.get("User-Agent", ""),
            }
        )
