"""Describe the responses of the routes for the OpenAPI document (docs/contract.md, sections 2 to 4).

The views don't use these serializers, but a fuzzer validates the responses against them.
"""

from collections.abc import Callable
from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_serializer
from rest_framework import serializers

from daemon_programs.models.fields import PROGRAM_FIELDS, Kind, ProgramField
from daemon_programs.programs.batch import Outcome
from daemon_programs.programs.observed.statuses import STATUSES
from daemon_programs.supervisor.instances import KINDS
from daemon_programs.supervisor.probes import CONDITIONS
from daemon_programs.validators import webhook_config


class PortRange(serializers.Serializer):
    """The first and the last port, inclusive."""

    start = serializers.IntegerField(min_value=1, max_value=65535)
    end = serializers.IntegerField(min_value=1, max_value=65535)


class ProcessStatus(serializers.Serializer):
    """The status of a process. `pid` and `uptime` are present while it is alive."""

    status = serializers.ChoiceField(choices=STATUSES)
    pid = serializers.IntegerField(required=False)
    uptime = serializers.RegexField("^[0-9]+:[0-5][0-9]:[0-5][0-9]$", required=False, help_text="H:MM:SS")


class ProgramStatus(ProcessStatus):
    """The status of a program."""

    id = serializers.IntegerField()


class ProcessUsage(serializers.Serializer):
    """The resources that one process uses."""

    pid = serializers.IntegerField()
    command = serializers.CharField()
    cpu_percent = serializers.FloatField()
    memory_rss_bytes = serializers.IntegerField()


class Stats(serializers.Serializer):
    """The resources that a process tree uses. CPU is the share of one core over the last second or longer."""

    pid = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    cpu_percent = serializers.FloatField()
    memory_rss_bytes = serializers.IntegerField()
    process_count = serializers.IntegerField()
    processes = ProcessUsage(many=True)


class UnmetCondition(serializers.Serializer):
    """A condition that a start waits for."""

    program = serializers.CharField(help_text="The name of the program that it waits for.")
    condition = serializers.ChoiceField(choices=CONDITIONS)
    status = serializers.CharField(help_text="That program's status, or `disabled` or `removed`.")


class Findings(serializers.Serializer):
    """What probes have found, and what a start waits for."""

    ready = serializers.BooleanField(
        required=False, help_text="With `ready_port` or `ready`: whether it is ready."
    )
    not_ready_because = serializers.CharField(required=False, help_text="What its probe has met.")
    healthy = serializers.BooleanField(
        required=False, help_text="With `health`, once that is known: whether it is healthy."
    )
    unhealthy_because = serializers.CharField(required=False, help_text="What its probe has met.")
    told = serializers.CharField(required=False, help_text="The program's own `STATUS` of sd_notify.")
    waiting_for = UnmetCondition(
        many=True, required=False, help_text="With `depends_on`: what its start waits for."
    )


class ProgramInstance(Findings, ProcessStatus):
    """The status of one instance of a program."""

    port = serializers.IntegerField(required=False, help_text="In a port range.")
    instance = serializers.IntegerField(required=False, help_text="With `numprocs`: its number.")
    instance_name = serializers.CharField()
    stats = Stats(required=False)


class PortRangeStatus(serializers.Serializer):
    """The status of a program with instances: those that are not stopped."""

    type = serializers.ChoiceField(choices=[kind.programs for kind in KINDS])
    running_instances = serializers.IntegerField()
    total_instances = serializers.IntegerField()
    instances = ProgramInstance(many=True)


class LastRun(serializers.Serializer):
    """How the last run ended: with an exit code, by a signal, or with an error that kept it from running."""

    exit_code = serializers.IntegerField(allow_null=True)
    signal = serializers.CharField(allow_null=True, help_text="Its name, such as SIGKILL.")
    error = serializers.CharField(allow_null=True)
    ended_at = serializers.DateTimeField()
    reason = serializers.CharField(
        required=False, help_text="Why it was stopped without a request, to be started again."
    )


class Webhooks(serializers.Serializer):
    """Where state changes are delivered. All keys are present."""

    enabled = serializers.BooleanField()
    urls = serializers.ListField(child=serializers.CharField())
    events = serializers.ListField(child=serializers.ChoiceField(choices=webhook_config.EVENTS))
    headers = serializers.DictField(child=serializers.CharField())
    timeout = serializers.IntegerField()
    retry = serializers.IntegerField()


def _options(field: ProgramField) -> dict[str, Any]:
    options: dict[str, Any] = {"required": field.is_always_shown}
    if field.name.endswith("_logfile"):
        options["help_text"] = "The effective path."
    if field.nullable and field.default is not None:
        options["allow_null"] = True  # null is not the default, so documents show it
    return options


def _json(field: ProgramField) -> serializers.Field:
    made = serializers.JSONField(**_options(field))
    set_override(made, "field", field.schema)
    return made


# The serializer field for each kind of value.
_FIELDS: dict[Kind, Callable[[ProgramField], serializers.Field]] = {
    Kind.TEXT: lambda field: serializers.CharField(**_options(field)),
    Kind.REQUIRED_TEXT: lambda field: serializers.CharField(**_options(field)),
    Kind.INTEGER: lambda field: serializers.IntegerField(**_options(field)),
    Kind.BOOLEAN: lambda field: serializers.BooleanField(**_options(field)),
    Kind.CHOICE: lambda field: serializers.ChoiceField(choices=field.choices, **_options(field)),
    Kind.AUTORESTART: lambda field: serializers.ChoiceField(choices=field.choices, **_options(field)),
    Kind.STRINGS: lambda field: serializers.DictField(child=serializers.CharField(), **_options(field)),
    Kind.PATHS: _json,
    Kind.PORT_RANGE: lambda field: PortRange(**_options(field)),
    Kind.WEBHOOKS: lambda field: Webhooks(**_options(field)),
    Kind.JSON: _json,
}


class Program(serializers.Serializer):
    """A program. Optional values that are not set are left out."""

    id = serializers.IntegerField()

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the declared fields, followed by the program's."""
        listed = {field.name: _FIELDS[field.kind](field) for field in PROGRAM_FIELDS}
        return {**super().get_fields(), **listed}


@extend_schema_serializer(component_name="ListedProgram")
class ListedProgram(Program):
    """A program with its status and its stats, if asked for. With `fields` it has only these."""

    status = PolymorphicProxySerializer(
        component_name="ListedStatus",
        serializers=[ProgramStatus, PortRangeStatus],
        resource_type_field_name=None,
    )
    stats = Stats(required=False, help_text="Instances have stats of their own.")

    def get_fields(self) -> Any:
        """Return the fields, all of them optional: ``fields`` of the query may leave any of them out."""
        fields = super().get_fields()
        fields["stats"] = Stats()
        for field in fields.values():
            field.required = False
        return fields


class NextCursor(serializers.CharField):
    """The ``next`` of a list."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False,
            allow_null=True,
            help_text="With `limit` or `cursor`: the `cursor` of the next page, null on the last one.",
            **options,
        )


class Success(serializers.Serializer):
    """A successful response."""

    success = serializers.BooleanField()


class ProgramAnswer(Success):
    """One program."""

    program = Program()


class AddAnswer(ProgramAnswer):
    """The new program and its id."""

    id = serializers.IntegerField()


class RemoveAnswer(Success):
    """The id of the removed program."""

    id = serializers.IntegerField()


class BatchResult(serializers.Serializer):
    """What has become of one program of a batch."""

    id = serializers.IntegerField(required=False, help_text="Left out for a name that no program has.")
    name = serializers.CharField(required=False, help_text="Left out for an id that no program has.")
    result = serializers.ChoiceField(choices=list(Outcome), help_text="`planned` with `dry_run`.")
    reason = serializers.CharField(required=False, help_text="Why it was skipped, as a sentence.")
    error = serializers.CharField(required=False, help_text="Why it failed, as a sentence.")
    code = serializers.CharField(required=False, help_text="Why it was skipped or failed, as a stable word.")


class BatchCounts(serializers.Serializer):
    """How many programs have each result."""

    done = serializers.IntegerField()
    planned = serializers.IntegerField()
    skipped = serializers.IntegerField()
    failed = serializers.IntegerField()


class BatchAnswer(Success):
    """What has become of each program of a batch."""

    results = BatchResult(many=True)
    counts = BatchCounts()


@extend_schema_serializer(many=False)
class ListAnswer(serializers.Serializer):
    """The programs."""

    programs = ListedProgram(many=True)
    next = NextCursor()


class RestartAnswer(Success):
    """The result of a restart."""

    instance = ProgramInstance(required=False, help_text="With `port` or `instance`.")


class StartAnswer(RestartAnswer):
    """The result of a start."""

    already_running = serializers.BooleanField(required=False, help_text="With `if_not_running`.")


class LogAnswer(Success):
    """The last lines of a log."""

    logs = serializers.CharField(help_text="Without a newline at the end.")
    type = serializers.ChoiceField(choices=["stdout", "stderr"])
    lines = serializers.IntegerField(help_text="The number of lines returned.")
    log_file = serializers.CharField()
    truncated = serializers.BooleanField(
        required=False, help_text="True if older lines had no room: an answer has at most 4 MiB."
    )


class NamedStatus(serializers.Serializer):
    """A program in the list of statuses."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    enabled = serializers.BooleanField()
    status = ProgramStatus()


class UnclaimedProcess(serializers.Serializer):
    """A process that a program has left behind, and that can't be told to be of any program."""

    pid = serializers.IntegerField()
    command = serializers.CharField()


@extend_schema_serializer(many=False)
class StatusesAnswer(Success):
    """The statuses of all programs."""

    statuses = NamedStatus(many=True)
    unclaimed_processes = UnclaimedProcess(
        many=True, required=False, help_text="Left behind, of no program; they end with the stack."
    )


PROBLEM = "Why it can't be run at the moment: its user, a folder or its command is missing."


class WholeProgramStatus(Findings, ProgramStatus):
    """The status of a program with one process."""

    attach = serializers.CharField(required=False, help_text="The command that attaches to its tmux session.")


class Restarts(serializers.Serializer):
    """Restarts that were not requested. Each key is left out when it has nothing to say."""

    restarts = serializers.IntegerField(required=False, help_text="How often it was restarted by itself.")
    restarts_since_stable = serializers.IntegerField(
        required=False, help_text="Restarts since the last run of `stable_seconds` or start on request."
    )
    next_start_at = serializers.DateTimeField(required=False, help_text="When its pause ends: in `backoff`.")


class OrdinaryStatusAnswer(Restarts, Success):
    """The status of a program with one process."""

    status = WholeProgramStatus()
    stats = Stats(required=False)
    last_run = LastRun(required=False)
    problem = serializers.CharField(required=False, help_text=PROBLEM)


class InstanceStatusAnswer(Restarts, Success):
    """The status of one instance, with `port` or `instance`."""

    instance = ProgramInstance()
    last_run = LastRun(required=False)


class PortRangeStatusAnswer(Success):
    """The status of a program with instances: those that are not stopped."""

    instances = ProgramInstance(many=True)
    running_count = serializers.IntegerField()
    total_count = serializers.IntegerField()
    problem = serializers.CharField(required=False, help_text=PROBLEM)


STATUS_ANSWER = PolymorphicProxySerializer(
    component_name="StatusAnswer",
    serializers=[OrdinaryStatusAnswer, InstanceStatusAnswer, PortRangeStatusAnswer],
    resource_type_field_name=None,
)
