"""``GET ready``, which needs no authentication: whether the parts of the stack work together."""

from django.db import DatabaseError, connection
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from daemon_programs.exceptions import DaemonError
from daemon_programs.programs.observed.parts import parts_up
from daemon_programs.supervisor.gateway import supervisor
from hoody_site.api.health import OpenView

_PART_BY_PROCESS = {"listener": "listener", "scheduler": "queue", "prober": "prober"}
_FOLLOWER = "follower"  # of a stack with hosts only
PARTS = ("supervisord", "database", "listener", "queue", "prober")


class Parts(serializers.Serializer):
    """Whether each part of the stack works."""

    supervisord = serializers.BooleanField()
    database = serializers.BooleanField()
    listener = serializers.BooleanField()
    queue = serializers.BooleanField()
    prober = serializers.BooleanField()
    follower = serializers.BooleanField(required=False, help_text="Only with hosts.")


class Ready(serializers.Serializer):
    """The response of the route when all parts work."""

    success = serializers.BooleanField()
    status = serializers.ChoiceField(choices=["ready"])
    parts = Parts()


class ReadyView(OpenView):
    """Report whether the parts of the stack work: 200 if all do, else 503 with the missing ones."""

    @extend_schema(
        tags=["health"],
        operation_id="getReady",
        summary="Get readiness",
        description=(
            "Whether supervisord answers, the database can be read, and the event listener, the queue, "
            "the prober and, with hosts, the follower run. A part that ends again and again does not "
            "count as running. If a part is missing, the answer is 503 with `parts`."
        ),
        auth=[],
        responses=Ready,
        examples=[
            OpenApiExample(
                "Ready",
                {"success": True, "status": "ready", "parts": dict.fromkeys(PARTS, True)},
                response_only=True,
            ),
        ],
    )
    def get(self, request: Request) -> Response:
        """Report whether the parts of the stack work."""
        parts = working_parts()
        missing = [name for name, works in parts.items() if not works]
        if not missing:
            return Response({"success": True, "status": "ready", "parts": parts})
        body = {"success": False, "error": f"Not ready: {', '.join(missing)}", "code": "not_ready"}
        return Response({**body, "parts": parts}, status=status.HTTP_503_SERVICE_UNAVAILABLE)


def working_parts() -> dict[str, bool]:
    """Return by name whether each part of the stack works."""
    try:
        stack = supervisor.states()["stack"]
    except DaemonError:
        stack = None
    up = parts_up(stack or {})
    return {
        "supervisord": stack is not None,
        "database": _is_readable(),
        **{part: up.get(process, False) for process, part in _PART_BY_PROCESS.items()},
        **({_FOLLOWER: up[_FOLLOWER]} if _FOLLOWER in up else {}),
    }


def _is_readable() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_migrations LIMIT 1")
            return cursor.fetchone() is not None
    except DatabaseError:
        connection.close()  # a file that was replaced meanwhile is opened again
        return False
