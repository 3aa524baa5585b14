"""What the routes answer, for OpenAPI: shapes of the contract (section 4, ``examples.md``).

Nothing here runs when a request is served; a fuzzer holds it against what is served.
"""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.models.fields import PROGRAM_FIELDS, Kind, ProgramField
from daemon_programs.programs.statuses import STATUSES
from daemon_programs.validators import webhook_config


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
    events = serializers.ListField(child=serializers.ChoiceField(choices=webhook_config.EVENTS))
    headers = serializers.DictField(child=serializers.CharField())
    timeout = serializers.IntegerField()
    retry = serializers.IntegerField()


# How a field of the one list is answered, by the kind of its value.
_FIELDS: dict[Kind, Callable[[ProgramField], serializers.Field]] = {
    Kind.TEXT: lambda field: serializers.CharField(**_options(field)),
    Kind.REQUIRED_TEXT: lambda field: serializers.CharField(**_options(field)),
    Kind.INTEGER: lambda field: serializers.IntegerField(**_options(field)),
    Kind.BOOLEAN: lambda field: serializers.BooleanField(**_options(field)),
    Kind.CHOICE: lambda field: serializers.ChoiceField(choices=field.choices, **_options(field)),
    Kind.AUTORESTART: lambda field: serializers.ChoiceField(choices=field.choices, **_options(field)),
    Kind.STRINGS: lambda field: serializers.DictField(child=serializers.CharField(), **_options(field)),
    Kind.PORT_RANGE: lambda field: PortRange(**_options(field)),
    Kind.WEBHOOKS: lambda field: Webhooks(**_options(field)),
}


def _options(field: ProgramField) -> dict[str, Any]:
    effective = {"help_text": "The effective path."} if field.name.endswith("_logfile") else {}
    return {"required": field.is_always_shown, **effective}


class Program(serializers.Serializer):
    """A program. Optional values that aren't set are left out."""

    id = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the fields of the one list behind those that are declared."""
        listed = {field.name: _FIELDS[field.kind](field) for field in PROGRAM_FIELDS}
        return {**super().get_fields(), **listed}


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


PROBLEM = "Why it can't be run at the moment: its user, its folder or its command has gone."


class WholeProgramStatus(ProgramStatus):
    ready = serializers.BooleanField(required=False, help_text="With `ready_port`: whether it accepts.")
    attach = serializers.CharField(required=False, help_text="How to join its tmux session.")


class OrdinaryStatusAnswer(Success):
    """Of a program without a port range."""

    status = WholeProgramStatus()
    stats = Stats(required=False)
    last_run = LastRun(required=False)
    problem = serializers.CharField(required=False, help_text=PROBLEM)


class InstanceStatusAnswer(Success):
    """Of one instance of a port range: with ``port``."""

    instance = ProgramInstance()
    last_run = LastRun(required=False)


class PortRangeStatusAnswer(Success):
    """Of a port range: the instances that are not stopped."""

    instances = ProgramInstance(many=True)
    running_count = serializers.IntegerField()
    total_count = serializers.IntegerField()
    problem = serializers.CharField(required=False, help_text=PROBLEM)


STATUS_ANSWER = PolymorphicProxySerializer(
    component_name="StatusAnswer",
    serializers=[OrdinaryStatusAnswer, InstanceStatusAnswer, PortRangeStatusAnswer],
    resource_type_field_name=None,
)
