"""Shapes and types of what clients send (contract, sections 1 to 3). The rules are the model's."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.serializers.fields import (
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
from daemon_programs.supervisor import terminals
from daemon_programs.validators import rules

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
