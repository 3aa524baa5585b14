"""Describe strict serializers in the OpenAPI document as exactly as JSON Schema can.

What it can't express (that a user exists, that a name is free, that two fields fit together) is in the
descriptions.
"""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension

from daemon_programs.models import Program
from daemon_programs.models.fields import FIELD, ProgramField
from daemon_programs.models.fields.webhooks import WEBHOOK_PROPERTIES
from daemon_programs.serializers.applying import MOST_PROGRAMS, AppliedProgramSerializer, ProgramsField
from daemon_programs.serializers.batch import LabelField
from daemon_programs.serializers.fields import (
    RequiredString,
    StrictList,
    StrictObject,
    StrictSerializer,
    StrictString,
    StrictStringMap,
)
from daemon_programs.serializers.program import AutorestartField, SupervisedProgramSerializer

# The content of character classes, in a notation that all dialects of regular expressions share.
_NUL = r"\u0000"
_LINE_BREAKS = r"\u0000\n\r"
_CONTROLS = r"\u0000-\u001f\u007f-\u009f"
_BLANKS = r"\t-\r\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def _text(forbidden: str) -> str:
    return f"^[^{forbidden}]*$"


def _visible_text(forbidden: str) -> str:
    """Return the pattern of text with at least one character that is not blank."""
    return f"^[^{forbidden}]*[^{forbidden}{_BLANKS}][^{forbidden}]*$"


_LOG_FILE = f"^(/[^{_CONTROLS}]*[^/{_CONTROLS}])?$"

# The patterns of string fields by name. They match the empty text where it means that a field is not set.
PATTERNS = {
    "name": _visible_text(f"'\"{_CONTROLS}"),
    "command": _visible_text(_LINE_BREAKS),
    "user": _visible_text(_NUL),
    "port_param": _visible_text(_NUL),
    "directory": f"^(/[^{_NUL}]*)?$",
    "stdout_logfile": _LOG_FILE,
    "stderr_logfile": _LOG_FILE,
    "umask": "^0?[0-7]{3}$",
    "set": "^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$",
    "display": r"^(([A-Za-z0-9.-]*:)?[0-9]{1,5}(\.[0-9]{1,2})?)?$",
}

# A prefix of the key, the key, the value.
LABEL = (
    r"^([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?/)?"
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?(=([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?)?$"
)

_IGNORED = {"description": "Ignored, so that a response may be sent back."}


class StrictSerializerSchema(OpenApiSerializerExtension):
    """Describe request bodies: the constraints of each field, and that no other keys are accepted."""

    target_class = StrictSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """Return the schema of a serializer."""
        serializer: Any = self.target
        schema: dict[str, Any] = auto_schema._map_serializer(serializer, direction, bypass_extensions=True)
        properties: dict[str, Any] = schema.setdefault("properties", {})
        for name, field in serializer.fields.items():
            _constrain(properties[name], name, field)
            if isinstance(serializer, SupervisedProgramSerializer) and name in FIELD:
                _describe(properties[name], FIELD[name], with_default=not serializer.partial)
        ignored = {"id"} if serializer.partial and "id" in properties else set()
        properties.update({name: dict(_IGNORED) for name in sorted(serializer.ignored_keys | ignored)})
        schema["additionalProperties"] = False
        if isinstance(serializer, AppliedProgramSerializer):
            schema["required"] = ["name"]  # the rest may be among the defaults
        if serializer.parent is None:
            schema.pop("description", None)  # a body is described by its operation
        return schema


def _constrain(schema: dict[str, Any], name: str, field: Any) -> None:
    """Add the constraints of a strict field that drf-spectacular does not know."""
    if isinstance(field, StrictString):
        if isinstance(field, LabelField):
            schema["pattern"] = LABEL
        elif not field.takes_nul:
            schema["pattern"] = PATTERNS.get(name, _text(_NUL))
        schema.pop("minLength", None)  # the pattern says whether empty text is allowed
        if isinstance(field, RequiredString):
            schema["minLength"] = 1
        if field.max_length:
            schema["maxLength"] = field.max_length
    elif isinstance(field, StrictList):
        schema.update(minItems=1, maxItems=field.max_length)
        _constrain(schema["items"], name, field.child)
    elif isinstance(field, StrictStringMap):
        schema["additionalProperties"] = {"type": "string", "pattern": _text(_NUL)}
    elif isinstance(field, StrictObject):
        schema.update(properties=WEBHOOK_PROPERTIES, additionalProperties=False)
    elif isinstance(field, ProgramsField):
        schema["maxItems"] = MOST_PROGRAMS
    elif isinstance(field, AutorestartField):
        words = {"type": "string", "enum": list(field.choices)}
        schema.clear()
        schema["oneOf"] = [words, {"type": "boolean"}]


def _describe(schema: dict[str, Any], field: ProgramField, *, with_default: bool) -> None:
    """Add the description, the maximum length and the default of a program's field."""
    if field.description:
        schema["description"] = field.description
    column: Any = Program._meta.get_field(field.model_columns[0])
    if "pattern" in schema and column.max_length:
        schema["maxLength"] = column.max_length
    if with_default and field.default not in (None, ""):
        schema["default"] = field.default
