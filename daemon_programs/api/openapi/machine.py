"""Describe the route of the machine for the OpenAPI document."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from daemon_programs.api.openapi.responses import Success


class Machine(serializers.Serializer):
    """The size and load of the machine; in a container, of its host."""

    cpus = serializers.IntegerField(help_text="That the daemon may use.")
    load_1m = serializers.FloatField(help_text="Processes that run or wait to, over the last minute.")
    memory_total_bytes = serializers.IntegerField()
    memory_available_bytes = serializers.IntegerField(help_text="With what the kernel can take back at once.")


class MachineAnswer(Success):
    """The machine, and the version of its daemon."""

    version = serializers.CharField(help_text="Of the daemon.")
    machine = Machine()


retrieve_machine = extend_schema(
    tags=["status"],
    operation_id="getMachine",
    summary="Get the machine",
    description="The version of the daemon, and the size and load of the machine that it runs on.",
    responses=MachineAnswer,
    examples=[
        OpenApiExample(
            "A machine",
            {
                "success": True,
                "version": "1.0.0",
                "machine": {
                    "cpus": 4,
                    "load_1m": 0.62,
                    "memory_total_bytes": 8323350528,
                    "memory_available_bytes": 5904289792,
                },
            },
            response_only=True,
        )
    ],
)
