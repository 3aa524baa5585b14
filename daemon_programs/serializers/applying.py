"""Validate the body of ``apply``: a list of programs as they are to be."""

from typing import Any, cast

from django.core.exceptions import ValidationError
from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.serializers.fields import (
    StrictBoolean,
    StrictInteger,
    StrictSerializer,
    StrictString,
)
from daemon_programs.serializers.program import ProgramSerializer
from daemon_programs.text import encodable, printable
from daemon_programs.validators.labels import check_set

MOST_PROGRAMS = 1000
# Maps that a program adds to instead of replacing them, if the defaults have them too.
MERGED = ("environment", "labels", "limits")
NO_DEFAULTS = ("id", "name", "set")  # of which each program has its own, or all have that of the request


class ProgramsField(serializers.ListSerializer):
    """Accept a list of programs; each error names the program, by its name or else its position."""

    def run_validation(self, data: Any = empty) -> list[dict[str, Any]]:
        """Return the values of all programs; raise a ValidationError with the errors of all."""
        if data is empty:
            raise serializers.ValidationError("Field 'programs' is required")
        if type(data) is not list or not all(type(each) is dict for each in data):
            raise serializers.ValidationError("Field 'programs' must be a list of objects")
        if len(data) > MOST_PROGRAMS:
            raise serializers.ValidationError(
                f"Field 'programs' must not have more than {MOST_PROGRAMS} programs"
            )
        values, errors = [], {}
        names: set[str] = set()
        for position, document in enumerate(data):
            try:
                values.append(self._checked(document, names))
            except serializers.ValidationError as problem:
                errors[str(position)] = _prefixed(problem.detail, _label(position, document))
        if errors:
            raise serializers.ValidationError(errors)
        return values

    def _checked(self, document: dict[str, Any], names: set[str]) -> dict[str, Any]:
        """Return the values of a program, whose name must not be one of ``names`` before it."""
        values: dict[str, Any] = cast("ProgramSerializer", self.child).run_validation(document)
        if values["name"] in names:
            raise serializers.ValidationError({"name": ["The name is in the list twice"]})
        names.add(values["name"])
        return values


class AppliedProgramSerializer(ProgramSerializer):
    """A program of a list. What all programs need may also come from the defaults of the list."""


class ProgramDefaultsSerializer(ProgramSerializer):
    """The fields of each program of a list that does not have them itself."""

    def get_fields(self) -> dict[str, serializers.Field]:
        """Return the fields of a program, all of them optional, without those that programs don't share."""
        fields = {name: field for name, field in super().get_fields().items() if name not in NO_DEFAULTS}
        for field in fields.values():
            field.required = False
        return fields

    def run_validation(self, data: Any = empty) -> Any:
        if data is not empty and type(data) is not dict:
            raise serializers.ValidationError("Field 'defaults' must be an object")
        return super().run_validation(data)


class ApplySerializer(StrictSerializer):
    """Validate the body of ``apply``. The values have the programs with the defaults in them."""

    programs = ProgramsField(
        child=AppliedProgramSerializer(),
        help_text="Programs, told apart by name. A field that is left out has its default.",
    )
    defaults = ProgramDefaultsSerializer(
        partial=True,
        required=False,
        help_text="Fields of each program that does not have them itself. `environment`, `labels` and "
        "`limits` are merged by key.",
    )
    set = StrictString(
        required=False,
        allow_null=True,
        help_text="The name of the set that the programs belong to. A program of another set is refused.",
    )
    prune = StrictBoolean(
        default=False, help_text="Remove the programs of the set that are not in the list. Needs `set`."
    )
    dry_run = StrictBoolean(default=False, help_text="Return the plan, and change nothing.")
    revision = StrictString(
        required=False,
        max_length=64,
        help_text="The revision of a plan: if the programs have changed since, nothing is done (409).",
    )
    wait = StrictBoolean(default=False, help_text="Return once all programs that run are ready.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait at most.")
    rollback = StrictBoolean(
        default=False,
        help_text="Go back to the former configuration if a program does not become ready. Needs `wait`.",
    )

    def to_internal_value(self, data: Any) -> Any:
        """Put the defaults into the programs before these are validated."""
        programs, defaults = data.get("programs"), data.get("defaults", {})
        if type(programs) is list and type(defaults) is dict:
            whole = [_merged(defaults, each) if type(each) is dict else each for each in programs]
            data = {**data, "programs": whole}
        return super().to_internal_value(data)

    def validate_set(self, name: str | None) -> str:
        """Refuse what can't be the name of a set."""
        try:
            check_set(name or "")
        except ValidationError as problem:
            raise serializers.ValidationError(problem.messages) from None
        return name or ""

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Check what needs what."""
        values = super().validate(values)
        values.pop("defaults", None)
        values.setdefault("set", "")
        if values["prune"] and not values["set"]:
            raise serializers.ValidationError({"prune": ["Field 'prune' needs set: only its programs go"]})
        if values["rollback"] and not values["wait"]:
            raise serializers.ValidationError({"rollback": ["Field 'rollback' needs wait: true"]})
        for position, program in enumerate(values["programs"]):
            given = program.get("set")
            if values["set"] and given and given != values["set"]:
                sentence = f"Program '{program['name']}': Field 'set' is '{given}', not '{values['set']}'"
                raise serializers.ValidationError({f"programs.{position}.set": [sentence]})
        return values


def _merged(defaults: dict[str, Any], program: dict[str, Any]) -> dict[str, Any]:
    merged = {**defaults, **program}
    for name in MERGED:
        one, other = defaults.get(name), program.get(name)
        if type(one) is dict and type(other) is dict:
            merged[name] = {**one, **other}
    return merged


def _label(position: int, document: dict[str, Any]) -> str:
    name = document.get("name")
    if type(name) is str and name.strip():
        return f"Program '{printable(encodable(name))}'"
    return f"Program number {position + 1}"


def _prefixed(detail: Any, label: str) -> Any:
    """Return DRF's nested errors with the label before each sentence."""
    if isinstance(detail, dict):
        return {name: _prefixed(each, label) for name, each in detail.items()}
    if isinstance(detail, list):
        return [_prefixed(each, label) for each in detail]
    return f"{label}: {detail}"
