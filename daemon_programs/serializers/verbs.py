"""Validate the bodies of the verbs: start, stop, restart, input, and those that take no fields."""

from typing import Any

from rest_framework import serializers

from daemon_programs.serializers.fields import (
    StrictBoolean,
    StrictChoice,
    StrictField,
    StrictInteger,
    StrictSerializer,
    StrictString,
)
from daemon_programs.serializers.keys import NUMBERS, take_key
from daemon_programs.supervisor.processes import signals
from daemon_programs.validators import rules

MOST_INPUT_BYTES = 64 * 1024


class InstanceSerializer(StrictSerializer):
    """Validate which instance of a program is meant; the values have it as ``key``."""

    port = StrictInteger(limits=rules.PORTS, required=False, help_text="The instance of a port range.")
    instance = StrictInteger(
        limits=NUMBERS, required=False, help_text="The number of an instance, with `numprocs`."
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Replace the port or the number by the key of the instance."""
        return take_key(super().validate(values), "Field")


class StartSerializer(InstanceSerializer):
    """Validate the body of ``start``; no body means the same as ``{}``."""

    all = StrictBoolean(default=False, help_text="Every instance.")
    wait = StrictBoolean(default=False, help_text="Return once the program is running.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait at most.")
    if_not_running = StrictBoolean(default=False, help_text="Respond with `already_running`.")


class RestartSerializer(InstanceSerializer):
    """Validate the body of ``restart``."""

    all = StrictBoolean(default=False, help_text="Every instance.")
    wait = StrictBoolean(default=False, help_text="Return once the program is running again.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait at most.")
    rolling = StrictInteger(
        limits=(1, rules.MAX_PORTS),
        required=False,
        help_text="So many instances are down at a time at most, each running before the next. "
        "Needs `all` and `wait`.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Require that a roll-out covers all instances, and that the client learns where it stops."""
        values = super().validate(values)
        if "rolling" in values and not (values["all"] and values["wait"] and "key" not in values):
            raise serializers.ValidationError({"rolling": ["Field 'rolling' needs all: true and wait: true"]})
        return values


class StopSerializer(InstanceSerializer):
    """Validate the body of ``stop``."""

    all = StrictBoolean(default=False, help_text="Every instance.")


class SignalSerializer(InstanceSerializer):
    """Validate the body of ``signal``."""

    signal = StrictChoice(choices=signals.SIGNALS, help_text="Its name without `SIG`.")
    all = StrictBoolean(default=False, help_text="Every instance that runs.")
    scope = StrictChoice(
        choices=signals.SCOPES,
        default=signals.MAIN,
        help_text="The program's own process, or its whole tree.",
    )


class ReloadSerializer(InstanceSerializer):
    """Validate the body of ``reload``."""

    all = StrictBoolean(default=False, help_text="Every instance that runs.")


class InputText(StrictString):
    """Accept a text of limited size. Unlike arguments, it may contain NUL characters."""

    takes_nul = True

    def to_internal_value(self, data: Any) -> str:
        text: str = StrictField.to_internal_value(self, data)
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            self.fail_with("must be valid Unicode text")
        if size > MOST_INPUT_BYTES:
            self.fail_with("must have at most 64 KiB")
        return text


class TemporaryInputSerializer(StrictSerializer):
    """Validate the body of ``input`` of a temporary program."""

    text = InputText(
        required=False,
        max_length=MOST_INPUT_BYTES,
        help_text="Written as it is: a line needs its line break. At most 64 KiB in UTF-8.",
    )
    close = StrictBoolean(default=False, help_text="Then end it: the program reads the end of file.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Require something to do."""
        if "text" not in values and not values["close"]:
            raise serializers.ValidationError({"text": "Field 'text' is required, unless close is true"})
        return {"text": "", **values}


class InputSerializer(InstanceSerializer, TemporaryInputSerializer):
    """Validate the body of ``input``."""


class NoFieldsSerializer(StrictSerializer):
    """Validate the body of verbs without fields: no body, an empty one and ``{}`` mean the same."""
