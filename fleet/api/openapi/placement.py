"""The description of a launch on one of the hosts."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from daemon_programs.api.openapi.examples import request_example, response_example
from fleet.serializers.placement import PlacedLaunchSerializer
from quick_start.api.operations import LaunchAnswer

_LAUNCHED = {
    "temporary_id": "quick_1795288648711492",
    "name": "quick_python3_1795288648711492",
    "created_at": "2026-11-21T18:32:03Z",
    "host": "batch-3",
}


class PlacedAnswer(LaunchAnswer):
    """A program that was launched on a host, as the host answers."""

    host = serializers.CharField(help_text="The host's name.")


launch = extend_schema(
    tags=["hosts"],
    operation_id="quickStartOnHost",
    summary="Run a temporary program on a host",
    description=(
        "Chooses the host with the most room, as it was followed: memory first, then load. The next host is "
        "tried only if no connection comes about. The answer is the host's, with `host`; so is an error. The "
        "program is reached through the routes of that host."
    ),
    request=PlacedLaunchSerializer,
    responses=PlacedAnswer,
    examples=[
        request_example(
            "On a host with a label, waiting until it has ended",
            command="python3 job.py",
            user="worker",
            hosts={"labels": ["role=batch"]},
            wait="exit",
            timeout=300,
        ),
        request_example(
            "On one of some hosts", command="python3 job.py", user="worker", hosts={"names": ["batch-*"]}
        ),
        response_example("Started", **_LAUNCHED, status="starting"),
        response_example(
            "Ended",
            **_LAUNCHED,
            status="exited",
            last_run={"exit_code": 0, "signal": None, "error": None, "ended_at": "2026-11-21T18:40:00Z"},
            duration_seconds=1.204,
            stdout="done",
            stderr="",
        ),
    ],
)
