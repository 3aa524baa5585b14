"""What the routes answer, for OpenAPI: shapes of the contract (section 4, ``examples.md``).

Nothing here runs when a request is served; a fuzzer holds it against what is served.
"""

from typing import Any

from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema,
    extend_schema_serializer,
)
from rest_framework import serializers

from daemon_programs import (
    examples,
    rules,
    strict_schemas,  # noqa: F401  (registered by being imported)
    terminals,
    webhooks,
)
from daemon_programs.serializers import (
    NoFieldsSerializer,
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
    uptime = serializers.RegexField("^[0-9]+:[0-5][0-9]:[0-5][0-9]$", required=False, help_text="H:MM:SS")


class ProgramStatus(ProcessStatus):
    id = serializers.IntegerField()


class ProcessUsage(serializers.Serializer):
    pid = serializers.IntegerField()
    command = serializers.CharField()
    cpu_percent = serializers.FloatField()
    memory_rss_bytes = serializers.IntegerField()


class Stats(serializers.Serializer):
    """Of a whole process tree. CPU is a share of one core, since a second ago or longer."""

    pid = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    cpu_percent = serializers.FloatField()
    memory_rss_bytes = serializers.IntegerField()
    process_count = serializers.IntegerField()
    processes = ProcessUsage(many=True)


class ProgramInstance(ProcessStatus):
    port = serializers.IntegerField()
    instance_name = serializers.CharField()
    stats = Stats(required=False)


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


class Webhooks(serializers.Serializer):
    """Whom to tell of state changes, as it is kept: with every key."""

    enabled = serializers.BooleanField()
    urls = serializers.ListField(child=serializers.CharField())
    events = serializers.ListField(child=serializers.ChoiceField(choices=webhooks.EVENTS))
    headers = serializers.DictField(child=serializers.CharField())
    timeout = serializers.IntegerField()
    retry = serializers.IntegerField()


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
    terminal_id = serializers.IntegerField(required=False)
    terminal_shell = serializers.ChoiceField(choices=terminals.SHELLS, required=False)
    terminal_interactive = serializers.BooleanField(required=False)
    ready_port = serializers.IntegerField(required=False)
    webhooks = Webhooks(required=False)


@extend_schema_serializer(component_name="ListedProgram")
class ListedProgram(Program):
    status = PolymorphicProxySerializer(
        component_name="ListedStatus",
        serializers=[ProgramStatus, PortRangeStatus],
        resource_type_field_name=None,
    )
    stats = Stats(required=False, help_text="Of a port range its instances have their own.")

    def get_fields(self) -> Any:
        fields = super().get_fields()
        fields["status"].required = False
        fields["stats"] = Stats(required=False)
        return fields


class Success(serializers.Serializer):
    success = serializers.BooleanField()


class ProgramAnswer(Success):
    program = Program()


class AddAnswer(ProgramAnswer):
    id = serializers.IntegerField()


class RemoveAnswer(Success):
    id = serializers.IntegerField()


@extend_schema_serializer(many=False)
class ListAnswer(serializers.Serializer):
    programs = ListedProgram(many=True)


class RestartAnswer(Success):
    instance = ProgramInstance(required=False, help_text="With `port`.")


class StartAnswer(RestartAnswer):
    already_running = serializers.BooleanField(required=False, help_text="With `if_not_running`.")


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


@extend_schema_serializer(many=False)
class StatusesAnswer(Success):
    statuses = NamedStatus(many=True)


class WholeProgramStatus(ProgramStatus):
    ready = serializers.BooleanField(required=False, help_text="With `ready_port`: whether it accepts.")
    attach = serializers.CharField(required=False, help_text="How to join its tmux session.")


class OrdinaryStatusAnswer(Success):
    """Of a program without a port range."""

    status = WholeProgramStatus()
    stats = Stats(required=False)
    last_run = LastRun(required=False)


class InstanceStatusAnswer(Success):
    """Of one instance of a port range: with ``port``."""

    instance = ProgramInstance()
    last_run = LastRun(required=False)


class PortRangeStatusAnswer(Success):
    """Of a port range: the instances that are not stopped."""

    instances = ProgramInstance(many=True)
    running_count = serializers.IntegerField()
    total_count = serializers.IntegerField()


STATUS_ANSWER = PolymorphicProxySerializer(
    component_name="StatusAnswer",
    serializers=[OrdinaryStatusAnswer, InstanceStatusAnswer, PortRangeStatusAnswer],
    resource_type_field_name=None,
)


def _query(name: str, type: Any, description: str, **options: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type, OpenApiParameter.QUERY, description=description, **options)


_ID_SCHEMA = {"type": "integer", "format": "int64", "minimum": 1}
_ID = OpenApiParameter("id", _ID_SCHEMA, OpenApiParameter.PATH, description="The program's id.")
_PORT_SCHEMA = {"type": "integer", "minimum": rules.PORTS[0], "maximum": rules.PORTS[1]}
_BOOLEAN_SCHEMA = {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}
_PORT = _query("port", _PORT_SCHEMA, "The instance of a port range.")
LOG_QUERY = [
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
        _query("name", {"type": "string", "pattern": r"^[^\u0000]*$"}, "Exactly this name."),
        _query("port", _PORT_SCHEMA, "Those whose port range has this port."),
        _query("port_from", _PORT_SCHEMA, "With `port_to`: those whose range overlaps this one."),
        _query("port_to", _PORT_SCHEMA, "With `port_from`."),
        _query("include_status", _BOOLEAN_SCHEMA, "Add `status`."),
        _query("include_stats", _BOOLEAN_SCHEMA, "Add `status` and `stats`."),
    ],
    responses=ListAnswer,
    examples=examples.LIST_PROGRAMS,
)
retrieve_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="getProgram",
    summary="Get a program",
    description="Its configuration; `GET status/{id}` tells what runs.",
    parameters=[_ID],
    responses=ProgramAnswer,
    examples=examples.PROGRAM,
)
add_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="addProgram",
    summary="Add a program",
    description="Registered with supervisord if `enabled`, and started at once if `boot`.",
    request=ProgramSerializer,
    responses=AddAnswer,
    examples=examples.ADD_PROGRAM,
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
    examples=examples.EDIT_PROGRAM,
)
remove_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="removeProgram",
    summary="Remove a program",
    description="Stopped first, then forgotten. Its log files stay.",
    parameters=[_ID],
    request=NoFieldsSerializer,
    responses=RemoveAnswer,
    examples=examples.REMOVE_PROGRAM,
)
reset_programs = extend_schema(
    tags=_PROGRAMS,
    operation_id="resetPrograms",
    summary="Reset the programs",
    description=(
        "Stops and withdraws every program, then loads those of `programs.default.json`. The replaced "
        "ones are kept in a dated file of the state folder, which `manage.py import_programs` reads."
    ),
    request=NoFieldsSerializer,
    responses=Success,
    examples=examples.RESET_PROGRAMS,
)
enable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="enableProgram",
    summary="Enable a program",
    description="Registered with supervisord; started only if it has `boot`.",
    parameters=[_ID],
    request=NoFieldsSerializer,
    responses=ProgramAnswer,
    examples=examples.ENABLE_PROGRAM,
)
disable_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="disableProgram",
    summary="Disable a program",
    description="Stopped and withdrawn from supervisord.",
    parameters=[_ID],
    request=NoFieldsSerializer,
    responses=ProgramAnswer,
    examples=examples.DISABLE_PROGRAM,
)
start_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="startProgram",
    summary="Start a program",
    description="Of a port range, the instance of a `port`, or with `all` every instance.",
    parameters=[_ID],
    request=StartSerializer,
    responses=StartAnswer,
    examples=examples.START_PROGRAM,
)
stop_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="stopProgram",
    summary="Stop a program",
    description="Its whole process tree; answers when it has ended. Stopping what is stopped is a success.",
    parameters=[_ID],
    request=StopSerializer,
    responses=Success,
    examples=examples.STOP_PROGRAM,
)
restart_program = extend_schema(
    tags=_PROGRAMS,
    operation_id="restartProgram",
    summary="Restart a program",
    description="Stop and start as one: never two processes at once, never a lost start.",
    parameters=[_ID],
    request=RestartSerializer,
    responses=RestartAnswer,
    examples=examples.RESTART_PROGRAM,
)
program_logs = extend_schema(
    tags=_LOGS,
    operation_id="getProgramLogs",
    summary="Read a program's log",
    description="The last lines. A log that does not exist yet is empty.",
    parameters=[_ID, *LOG_QUERY, _PORT],
    responses=LogAnswer,
    examples=examples.LOGS,
)
list_statuses = extend_schema(
    tags=_STATUS,
    operation_id="listStatuses",
    summary="List statuses",
    description="Of all programs, in id order. A port range is `running` while any of its instances is.",
    responses=StatusesAnswer,
    examples=examples.LIST_STATUSES,
)
retrieve_status = extend_schema(
    tags=_STATUS,
    operation_id="getStatus",
    summary="Get a status",
    description="`last_run` tells how the last run ended, unless it was stopped on request.",
    parameters=[_ID, _PORT],
    responses=STATUS_ANSWER,
    examples=examples.STATUS,
)
