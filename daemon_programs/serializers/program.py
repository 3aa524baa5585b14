"""Validate the keys and types of a program that a client sends (docs/contract.md, sections 1 to 3).

The rules for the values are the model's.
"""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.drainage import set_override
from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.models.fields import (
    PROGRAM_FIELDS,
    TEMPORARY_FIELDS,
    WRITABLE_FIELDS,
    Kind,
    ProgramField,
)
from daemon_programs.serializers.fields import (
    JsonValue,
    RequiredString,
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictInteger,
    StrictObject,
    StrictSerializer,
    StrictString,
    StrictStringMap,
    check_text,
)
from daemon_programs.validators import rules

_AUTORESTART_SENTENCE = "must be one of: true, false, unexpected"


class AutorestartField(StrictField, serializers.ChoiceField):
    """Accept the choices as strings, and ``true`` and ``false`` as booleans too; the value is a string."""

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


class PathsField(StrictField, serializers.Field):
    """Accept a path or a list of paths; the value is a text with one on each line."""

    def to_internal_value(self, data: Any) -> str:
        if data == "":
            return ""
        paths = [data] if type(data) is str else data
        if type(paths) is not list or not all(type(path) is str for path in paths):
            self.fail_with("must be a path or a list of paths")
        for path in paths:
            check_text(path, f"Field '{self.field_name}'")
            if not path or "\n" in path:
                self.fail_with("must have neither empty paths nor paths with line breaks")
        return "\n".join(paths)


class PortRangeSerializer(StrictSerializer):
    """The first and the last port, inclusive."""

    start = StrictInteger(limits=rules.PORTS)
    end = StrictInteger(limits=rules.PORTS)

    def run_validation(self, data: Any = empty) -> Any:
        if data is empty or (data is None and self.allow_null):
            return super().run_validation(data)
        if type(data) is not dict:
            raise serializers.ValidationError(
                "Field 'port_range' must be an object with the integers start and end"
            )
        for key in ("start", "end"):
            # An edit makes the nested serializer partial too, but replaces the whole range.
            if key not in data:
                raise serializers.ValidationError(f"Field 'port_range' is missing '{key}'")
        return super().run_validation(data)


# The serializer field for each kind of value.
_SERIALIZER_FIELDS: dict[Kind, type[serializers.Field]] = {
    Kind.TEXT: StrictString,
    Kind.REQUIRED_TEXT: RequiredString,
    Kind.INTEGER: StrictInteger,
    Kind.BOOLEAN: StrictBoolean,
    Kind.CHOICE: StrictChoice,
    Kind.AUTORESTART: AutorestartField,
    Kind.STRINGS: StrictStringMap,
    Kind.PATHS: PathsField,
    Kind.PORT_RANGE: PortRangeSerializer,
    Kind.WEBHOOKS: StrictObject,
    Kind.JSON: JsonValue,
}


def serializer_field(field: ProgramField) -> serializers.Field:
    """Return the serializer field that validates a program's field."""
    options: dict[str, Any] = {"required": field.kind is Kind.REQUIRED_TEXT}
    if field.nullable:
        options["allow_null"] = True
    if field.limits:
        options["limits"] = field.limits
    if field.max_length:
        options["max_length"] = field.max_length
    if field.choices:
        options["choices"] = field.choices
    made = _SERIALIZER_FIELDS[field.kind](**options)
    if field.schema:
        set_override(made, "field", field.schema)  # for the OpenAPI document
    return made


class SupervisedProgramSerializer(StrictSerializer):
    """Validate the fields that programs and temporary programs share."""

    program_fields: Sequence[ProgramField] = TEMPORARY_FIELDS

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the program's fields, then those that the subclass declares, which override them."""
        listed = {field.name: serializer_field(field) for field in self.program_fields}
        return {**listed, **super().get_fields()}

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Replace null by the empty text, which the model stores instead."""
        for field in self.program_fields:
            is_text = field.kind in (Kind.TEXT, Kind.CHOICE, Kind.PATHS)
            if is_text and field.name in values and values[field.name] is None:
                values[field.name] = ""
        return values


class ProgramSerializer(SupervisedProgramSerializer):
    """Validate the body of ``add``, and with ``partial`` that of ``edit``."""

    program_fields = WRITABLE_FIELDS
    # Clients may send a program back as they received it.
    ignored_keys = frozenset(
        {"status", "stats", *(field.name for field in PROGRAM_FIELDS if field.read_only)}
    )

    id = StrictInteger(
        limits=rules.IDS,
        required=False,
        help_text="An unused id of your choice; ignored by edit.",
    )

    def to_internal_value(self, data: Any) -> Any:
        if self.partial:
            data = {key: value for key, value in data.items() if key != "id"}
        return super().to_internal_value(data)

    def validate_port_param(self, port_param: str | None) -> str | None:
        """Refuse a blank value; the model's empty text means that there is none."""
        if port_param is not None and not port_param.strip():
            raise serializers.ValidationError("Field 'port_param' must not be empty")
        return port_param

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Replace ``port_range`` by the model's fields; an edit that clears a field clears what needs it."""
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
