"""Shapes and types of what clients send (contract, sections 1 to 3). The rules are the model's."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs import rules, statuses, terminals
from daemon_programs.strict_fields import (
    QueryBoolean,
    QueryChoice,
    QueryCursor,
    QueryInteger,
    QueryTime,
    RequiredString,
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictInteger,
    StrictObject,
    StrictSerializer,
    StrictString,
    StrictStringMap,
)

_AUTORESTART_SENTENCE = "must be one of: true, false, unexpected"


class AutorestartField(StrictField, serializers.ChoiceField):
    """``true`` and ``false`` may be sent as booleans too; the answer is always the string."""

    def to_internal_value(self, data: Any) -> str:
        if data is True or data is False:
            return str(data).lower()
        if data not in rules.AUTORESTART or type(data) is not str:
            self.fail_with(_AUTORESTART_SENTENCE)
        return str(data)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        if data is None:
            self.fail_with(_AUTORESTART_SENTENCE)
        return super().validate_empty_values(data)


class PortRangeSerializer(StrictSerializer):
    """First and last port, both included."""

    start = StrictInteger(min_value=rules.PORTS[0], max_value=rules.PORTS[1])
    end = StrictInteger(min_value=rules.PORTS[0], max_value=rules.PORTS[1])

    def run_validation(self, data: Any = empty) -> Any:
        if data is empty or (data is None and self.allow_null):
            return super().run_validation(data)
        if type(data) is not dict:
            raise serializers.ValidationError(
                "Field 'port_range' must be an object with the integers start and end"
            )
        for key in ("start", "end"):
            # Nested in an edit, which is partial, it is a whole all the same.
            if key not in data:
                raise serializers.ValidationError(f"Field 'port_range' is missing '{key}'")
        return super().run_validation(data)


class SupervisedProgramSerializer(StrictSerializer):
    """What a lasting program and a temporary one have in common."""

    name = RequiredString(max_length=rules.NAME_LENGTH)
    command = RequiredString()
    user = RequiredString()
    directory = StrictString(required=False, allow_null=True)
    environment = StrictStringMap(required=False)
    autorestart = AutorestartField(choices=rules.AUTORESTART, required=False)
    delay_seconds = StrictInteger(
        min_value=rules.DELAY_SECONDS[0], max_value=rules.DELAY_SECONDS[1], required=False
    )
    stop_grace_seconds = StrictInteger(
        min_value=rules.STOP_GRACE_SECONDS[0], max_value=rules.STOP_GRACE_SECONDS[1], required=False
    )
    priority = StrictInteger(min_value=rules.PRIORITY[0], max_value=rules.PRIORITY[1], required=False)
    stdout_logfile = StrictString(required=False)
    stderr_logfile = StrictString(required=False)
    logs_enabled = StrictBoolean(required=False)
    log_max_bytes = StrictInteger(
        min_value=rules.LOG_MAX_BYTES[0], max_value=rules.LOG_MAX_BYTES[1], required=False
    )
    log_backups = StrictInteger(
        min_value=rules.LOG_BACKUPS[0], max_value=rules.LOG_BACKUPS[1], required=False
    )
    display = StrictString(required=False, allow_null=True)
    terminal_id = StrictInteger(
        min_value=rules.PORTS[0], max_value=rules.PORTS[1], required=False, allow_null=True
    )
    terminal_shell = StrictChoice(choices=terminals.SHELLS, required=False, allow_null=True)
    terminal_interactive = StrictBoolean(required=False, allow_null=True)

    # Nullable to clients, empty in the database
    _null_is_empty = ("directory", "display", "port_param", "terminal_shell")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """From the contract's fields to the model's."""
        for name in self._null_is_empty:
            if name in values and values[name] is None:
                values[name] = ""
        return values


class ProgramSerializer(SupervisedProgramSerializer):
    """The body of ``add``, and with ``partial`` of ``edit``."""

    # Clients may send back what they were given.
    ignored_keys = frozenset({"hoody_kit", "status", "stats"})

    id = StrictInteger(
        min_value=1,
        max_value=2**53 - 1,
        required=False,
        help_text="An unused id of your choice; ignored by edit.",
    )
    description = StrictString(max_length=rules.DESCRIPTION_LENGTH, required=False)
    enabled = StrictBoolean(required=False)
    boot = StrictBoolean(required=False)
    port_range = PortRangeSerializer(required=False, allow_null=True)
    port_param = StrictString(required=False, allow_null=True)
    lazy_load = StrictBoolean(required=False)
    ready_port = StrictInteger(
        min_value=rules.PORTS[0], max_value=rules.PORTS[1], required=False, allow_null=True
    )
    webhooks = StrictObject(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        if self.partial:
            data = {key: value for key, value in data.items() if key != "id"}
        return super().to_internal_value(data)

    def validate_port_param(self, port_param: str | None) -> str | None:
        if port_param is not None and not port_param.strip():
            raise serializers.ValidationError("Field 'port_param' must not be empty")
        return port_param

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        values = super().validate(values)
        if self.partial and values.get("terminal_id", 0) is None:
            values.setdefault("terminal_shell", "")
            values.setdefault("terminal_interactive", None)
        if "port_range" in values:
            ports = values.pop("port_range") or {}
            values["port_start"] = ports.get("start")
            values["port_end"] = ports.get("end")
            if not ports and self.partial:
                values.setdefault("port_param", "")
        return values


class StartSerializer(StrictSerializer):
    """The body of ``start``; none at all means the same as ``{}``."""

    port = StrictInteger(min_value=rules.PORTS[0], max_value=rules.PORTS[1], required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")
    wait = StrictBoolean(default=False, help_text="Answer when it runs.")
    timeout = StrictInteger(min_value=1, max_value=300, default=30, help_text="Seconds to wait.")
    if_not_running = StrictBoolean(default=False, help_text="What runs already is no error.")


class RestartSerializer(StrictSerializer):
    """The body of ``restart``."""

    port = StrictInteger(min_value=rules.PORTS[0], max_value=rules.PORTS[1], required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")
    wait = StrictBoolean(default=False, help_text="Answer when it runs again.")
    timeout = StrictInteger(min_value=1, max_value=300, default=30, help_text="Seconds to wait.")


class StopSerializer(StrictSerializer):
    """The body of ``stop``."""

    port = StrictInteger(min_value=rules.PORTS[0], max_value=rules.PORTS[1], required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")


class NoFieldsSerializer(StrictSerializer):
    """The body of verbs that need nothing said: none, empty and ``{}`` mean the same."""


class LogQuerySerializer(serializers.Serializer):
    """The query of ``logs``."""

    type = serializers.CharField(default="stdout", trim_whitespace=False, allow_blank=True)
    lines = QueryInteger(1, 10000, default=100)

    def validate_type(self, value: str) -> str:
        if value not in ("stdout", "stderr"):
            raise serializers.ValidationError("Invalid 'type' value: must be 'stdout' or 'stderr'")
        return value


class EventQuerySerializer(serializers.Serializer):
    """The query of ``events``."""

    since = QueryTime(required=False)
    state = QueryChoice(statuses.STATUSES, required=False)
    limit = QueryInteger(1, 1000, default=100)
    cursor = QueryCursor(required=False)


class PortQuerySerializer(serializers.Serializer):
    """The port of an instance, in a query."""

    port = QueryInteger(*rules.PORTS, required=False)


class ProgramFilterSerializer(PortQuerySerializer):
    """The filters of ``GET programs``, combined with AND."""

    hoody_kit = QueryBoolean(required=False)
    lazy_load = QueryBoolean(required=False)
    enabled = QueryBoolean(required=False)
    boot = QueryBoolean(required=False)
    name = serializers.CharField(required=False, trim_whitespace=False, allow_blank=True)
    port_from = QueryInteger(*rules.PORTS, required=False)
    port_to = QueryInteger(*rules.PORTS, required=False)
    include_status = QueryBoolean(required=False)
    include_stats = QueryBoolean(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if ("port_from" in values) is not ("port_to" in values):
            raise serializers.ValidationError(
                "Query parameters 'port_from' and 'port_to' must be given together"
            )
        if "port_from" in values and values["port_from"] > values["port_to"]:
            raise serializers.ValidationError(
                "Query parameter 'port_from' must not be greater than 'port_to'"
            )
        return values
