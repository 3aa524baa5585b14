"""What the routes answer, for OpenAPI: shapes of the contract (section 4, ``examples.md``).

Nothing here runs when a request is served; a fuzzer holds it against what is served.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers

from daemon_programs import rules
from daemon_programs.serializers import (
    ProgramSerializer,
    RestartSerializer,
    StartSerializer,
    StopSerializer,
)
from daemon_programs.statuses import STATUSES

_PROGRAMS, _STATUS, _LOGS = ["programs"], ["status"], ["logs"]


class PortRange(serializers.Serializer):
    start = serializers.IntegerField(min_value=1, max_value=65535)
    end = serializers.IntegerField(min_value=1, max_value=65535)


class ProcessStatus(serializers.Serializer):
    """``pid`` and ``uptime`` only while a process lives."""

    status = serializers.ChoiceField(choices=STATUSES)
    pid = serializers.IntegerField(required=False)
    uptime = serializers.RegexField(r"^\d+:[0-5]\d:[0-5]\d$", required=False, help_text="H:MM:SS")


class ProgramStatus(ProcessStatus):
    id = serializers.IntegerField()


class ProgramInstance(ProcessStatus):
    port = serializers.IntegerField()
    instance_name = serializers.CharField()


class PortRangeStatus(serializers.Serializer):
    type = serializers.ChoiceField(choices=["port-range"])
    running_instances = serializers.IntegerField()
    total_instances = serializers.IntegerField()
    instances = ProgramInstance(many=True)


class LastRun(serializers.Serializer):
    """How the last run ended: an exit code, a signal, or why it could not be run."""

    exit_code = serializers.IntegerField(allow_null=True)
    signal = serializers.CharField(allow_null=True, help_text="Such as SIGKILL.")
    error = serializers.CharField(allow_null=True)
    ended_at = serializers.DateTimeField()


class Program(serializers.Serializer):
    """A program. Optional values that aren't set are left out."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    description = serializers.CharField()
    enabled = serializers.BooleanField()
    command = serializers.CharField()
    boot = serializers.BooleanField()
    delay_seconds = serializers.IntegerField()
    autorestart = serializers.ChoiceField(choices=rules.AUTORESTART)
    user = serializers.CharField()
    environment = serializers.DictField(child=serializers.CharField())
    directory = serializers.CharField(required=False)
    priority = serializers.IntegerField()
    stdout_logfile = serializers.CharField(help_text="The effective path.")
    stderr_logfile = serializers.CharField(help_text="The effective path.")
    logs_enabled = serializers.BooleanField()
    log_max_bytes = serializers.IntegerField()
    log_backups = serializers.IntegerField()
    hoody_kit = serializers.BooleanField()
    port_range = PortRange(required=False)
    port_param = serializers.CharField(required=False)
    lazy_load = serializers.BooleanField()
    display = serializers.CharField(required=False)


@extend_schema_serializer(component_name="ListedProgram")
class ListedProgram(Program):
    status = PolymorphicProxySerializer(
        component_name="ListedStatus",
        serializers=[ProgramStatus, PortRangeStatus],
        resource_type_field_name=None,
    )

    def get_fields(self) -> Any:
        fields = super().get_fields()
        fields["status"].required = False
        return fields


class Success(serializers.Serializer):
    success = serializers.BooleanField()


class ProgramAnswer(Success):
    program = Program()


class AddAnswer(ProgramAnswer):
    id = serializers.IntegerField()


class RemoveAnswer(Success):
    id = serializers.IntegerField()


class ListAnswer(serializers.Serializer):
    programs = ListedProgram(many=True)


class StartAnswer(Success):
    already_running = serializers.BooleanField(required=False, help_text="With `if_not_running`.")
    instance = ProgramInstance(required=False)


class RestartAnswer(Success):
    instance = ProgramInstance(required=False)


class LogAnswer(Success):
    logs = serializers.CharField(help_text="Without a line break at its end.")
    type = serializers.ChoiceField(choices=["stdout", "stderr"])
    lines = serializers.IntegerField(help_text="The number returned.")
    log_file = serializers.CharField()


class NamedStatus(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()
    enabled = serializers.BooleanField()
    status = ProgramStatus()


class StatusesAnswer(Success):
    statuses = NamedStatus(many=True)


class StatusAnswer(Success):
    """Of an ordinary program ``status``, of a port range ``instances`` or, with ``port``, ``instance``."""

    status = ProgramStatus(required=False)
    instance = ProgramInstance(required=False)
    instances = ProgramInstance(many=True, required=False)
    running_count = serializers.IntegerField(required=False)
    total_count = serializers.IntegerField(required=False)
    last_run = LastRun(required=False)


def _query(name: str, type: Any, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, description=description, **options)


_ID = OpenApiParameter("id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The program's id.")
_PORT_SCHEMA = {"type": "integer", "minimum": rules.PORTS[0], "maximum": rules.PORTS[1]}
_BOOLEAN_SCHEMA = {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}
_PORT = _query("port", _PORT_SCHEMA, "The instance of a port range.")
_LOG_QUERY = [
    _query("type", {"type": "string", "enum": ["stdout", "stderr"], "default": "stdout"}, "Which stream."),
    _query(
        "lines", {"type": "integer", "minimum": 1, "maximum": 10000, "default": 100}, "At most so many lines."
    ),
]

list_programs = extend_schema(
    tags=_PROGRAMS,
    operation_id="listPrograms",
    summary="List programs",
    description="In id order. The filters are combined with AND.",
    parameters=[
        _query("enabled", _BOOLEAN_SCHEMA, "Registered with supervisord."),
        _query("boot", _BOOLEAN_SCHEMA, "Started when the daemon starts."),
        _query("lazy_load", _BOOLEAN_SCHEMA, "Instances started on demand only."),
        _query("hoody_kit", _BOOLEAN_SCHEMA, "Those whose directory lies below the kits' root."),
        _query("name", OpenApiTypes.STR, "Exactly this name."),
        _query("port", _PORT_SCHEMA, "Those whose port range has this port."),
        _query("port_from", _PORT_SCHEMA, "With `port_to`: those whose range overlaps this one."),
        _query("port_to", _PORT_SCHEMA, "With `port_from`."),
        _query("include_status", _BOOLEAN_SCHEMA, "Add `status`."),
        _query("include_stats", _BOOLEAN_SCHEMA, "Add `status` and `stats`."),
    ],
    responses=ListAnswer,
)
retrieve_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="getProgram",
    summary="Get a program",
    parameters=[_ID],
    responses=ProgramAnswer,
)
add_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="addProgram",
    summary="Add a program",
    description="Registered with supervisord if `enabled`, and started at once if `boot`.",
    request=ProgramSerializer,
    responses=AddAnswer,
)
edit_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="editProgram",
    summary="Edit a program",
    description=(
        "What is left out keeps its value; `environment` and `port_range` replace the whole value; null "
        "clears. What runs is restarted, once, only if what runs has changed."
    ),
    parameters=[_ID],
    request=ProgramSerializer(partial=True),
    responses=ProgramAnswer,
)
remove_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="removeProgram",
    summary="Remove a program",
    description="Stopped first, then forgotten. Its log files stay.",
    parameters=[_ID],
    request=None,
    responses=RemoveAnswer,
)
enable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="enableProgram",
    summary="Enable a program",
    description="Registered with supervisord; started only if it has `boot`.",
    parameters=[_ID],
    request=None,
    responses=ProgramAnswer,
)
disable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="disableProgram",
    summary="Disable a program",
    description="Stopped and withdrawn from supervisord.",
    parameters=[_ID],
    request=None,
    responses=ProgramAnswer,
)
start_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="startProgram",
    summary="Start a program",
    description="Of a port range, the instance of a `port`, or with `all` every instance.",
    parameters=[_ID],
    request=StartSerializer,
    responses=StartAnswer,
)
stop_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="stopProgram",
    summary="Stop a program",
    description="Its whole process tree; answers when it has ended. Stopping what is stopped is a success.",
    parameters=[_ID],
    request=StopSerializer,
    responses=Success,
)
restart_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="restartProgram",
    summary="Restart a program",
    description="Stop and start as one: never two processes at once, never a lost start.",
    parameters=[_ID],
    request=RestartSerializer,
    responses=RestartAnswer,
)
program_logs = extend_schema(
    tags=_LOGS,
    operation_id="getProgramLogs",
    summary="Read a program's log",
    description="The last lines. A log that does not exist yet is empty.",
    parameters=[_ID, *_LOG_QUERY, _PORT],
    responses=LogAnswer,
)
list_statuses = extend_schema(
    tags=_STATUS, operation_id="listStatuses", summary="List statuses", responses=StatusesAnswer
)
retrieve_status = extend_schema(
    tags=_STATUS,
    operation_id="getStatus",
    summary="Get a status",
    description="`last_run` tells how the last run ended, unless it was stopped on request.",
    parameters=[_ID, _PORT],
    responses=StatusAnswer,
)
