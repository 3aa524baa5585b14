"""Validate the body of ``batch``: what is done, with which programs, and how."""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.programs.selection import STATES, Selection
from daemon_programs.programs.verbs import NAMES
from daemon_programs.serializers.fields import (
    StrictBoolean,
    StrictChoice,
    StrictInteger,
    StrictList,
    StrictSerializer,
    StrictString,
)
from daemon_programs.supervisor.processes import signals
from daemon_programs.validators import rules
from daemon_programs.validators.labels import MAX_LABELS, Selector, parse_selector

MOST_IDS = 10_000
MOST_NAMES = 1000
# The actions that take each option.
OPTIONS = {
    "wait": ("start", "restart"),
    "timeout": ("start", "restart"),
    "signal": ("signal",),
    "scope": ("signal",),
}


class LabelField(StrictString):
    """Accept a label as a filter has it: ``key=value``, or ``key``."""

    def to_internal_value(self, data: Any) -> Selector:  # type: ignore[override]
        selector = parse_selector(super().to_internal_value(data))
        if selector is None:
            self.fail_with("must be a label such as team=web, or the key of one")
        return selector  # type: ignore[return-value]


class LabelsField(StrictList):
    """Accept labels as a filter has them, to choose what has all of them."""

    def __init__(self) -> None:
        super().__init__(
            child=LabelField(max_length=400),
            max_length=MAX_LABELS,
            required=False,
            help_text="All of these labels, each as `key=value` or `key`.",
        )


class SelectSerializer(StrictSerializer):
    """Choose the programs of a batch. Each field narrows the choice."""

    ids = StrictList(
        child=StrictInteger(limits=rules.IDS),
        max_length=MOST_IDS,
        required=False,
        help_text="Any of these. An id that no program has is a result that has failed.",
    )
    names = StrictList(
        child=StrictString(max_length=rules.NAME_LENGTH),
        max_length=MOST_NAMES,
        required=False,
        help_text="Any of these: names, or globs. A name that no program has is a result that has failed.",
    )
    labels = LabelsField()
    states = StrictList(
        child=StrictChoice(choices=STATES),
        max_length=len(STATES),
        required=False,
        help_text="Any of these states; `disabled` programs are not `stopped`.",
    )
    all = StrictBoolean(default=False, help_text="All programs; without the other fields.")

    def run_validation(self, data: Any = empty) -> Any:
        """Require an object; the serializer's own sentences don't name the field."""
        if data is empty:
            raise serializers.ValidationError("Field 'select' is required")
        if type(data) is not dict:
            raise serializers.ValidationError("Field 'select' must be an object")
        return super().run_validation(data)

    def validate(self, values: dict[str, Any]) -> Any:
        """Return the selection; refuse one that names nothing, or all and something."""
        takes_all = values.pop("all")
        if takes_all and values:
            raise serializers.ValidationError("Field 'select' can't be combined: all is without other fields")
        if not takes_all and not values:
            raise serializers.ValidationError(
                "Field 'select' must name programs: by ids, names, labels or states, or all: true"
            )
        return Selection(
            ids=frozenset(values["ids"]) if "ids" in values else None,
            names=tuple(values["names"]) if "names" in values else None,
            labels=tuple(values.get("labels", ())),
            states=frozenset(values["states"]) if "states" in values else None,
        )


class BatchSerializer(StrictSerializer):
    """Validate the body of ``batch``."""

    action = StrictChoice(choices=NAMES, help_text="What is done with each program.")
    select = SelectSerializer()
    dry_run = StrictBoolean(default=False, help_text="Only tell what would be done.")
    wait = StrictBoolean(
        default=False, help_text="Of `start` and `restart`: return once all are running, or have failed."
    )
    timeout = StrictInteger(
        limits=(1, 300), default=30, help_text="Of `start` and `restart`: seconds to wait at most, for all."
    )
    signal = StrictChoice(
        choices=signals.SIGNALS, required=False, help_text="Required by `signal`: its name without `SIG`."
    )
    scope = StrictChoice(
        choices=signals.SCOPES,
        default=signals.MAIN,
        help_text="Of `signal`: the program's own process, or its whole tree.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse options of other actions; their defaults mean nothing, and may be sent."""
        action = values["action"]
        for name, actions in OPTIONS.items():
            field = self.fields[name]
            is_used = name in values and values[name] != (None if field.default is empty else field.default)
            if is_used and action not in actions:
                raise serializers.ValidationError(
                    {name: [f"Field '{name}' can't be combined with action: {action}"]}
                )
        if action == "signal" and "signal" not in values:
            raise serializers.ValidationError({"signal": ["Field 'signal' is required with action: signal"]})
        return values
