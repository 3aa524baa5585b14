"""Validate the bodies of the verbs: start, stop, restart, and those that take no fields."""

from typing import Any

from rest_framework import serializers

from daemon_programs.serializers.fields import StrictBoolean, StrictChoice, StrictInteger, StrictSerializer
from daemon_programs.supervisor.processes import signals
from daemon_programs.validators import rules


class StartSerializer(StrictSerializer):
    """Validate the body of ``start``; no body means the same as ``{}``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")
    wait = StrictBoolean(default=False, help_text="Return once the program is running.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait at most.")
    if_not_running = StrictBoolean(default=False, help_text="Respond with `already_running`.")


class RestartSerializer(StrictSerializer):
    """Validate the body of ``restart``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")
    wait = StrictBoolean(default=False, help_text="Return once the program is running again.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait at most.")
    rolling = StrictInteger(
        limits=(1, rules.MAX_PORTS),
        required=False,
        help_text="So many instances are down at a time at most, each running before the next. "
        "Needs `all` and `wait`.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Require that a roll-out covers a range, and that somebody learns where it stops."""
        if "rolling" in values and not (values["all"] and values["wait"] and "port" not in values):
            raise serializers.ValidationError({"rolling": ["Field 'rolling' needs all: true and wait: true"]})
        return values


class StopSerializer(StrictSerializer):
    """Validate the body of ``stop``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")


class SignalSerializer(StrictSerializer):
    """Validate the body of ``signal``."""

    signal = StrictChoice(choices=signals.SIGNALS, help_text="Its name without `SIG`.")
    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range that runs.")
    scope = StrictChoice(
        choices=signals.SCOPES,
        default=signals.MAIN,
        help_text="The program's own process, or its whole tree.",
    )


class ReloadSerializer(StrictSerializer):
    """Validate the body of ``reload``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range that runs.")


class NoFieldsSerializer(StrictSerializer):
    """Validate the body of verbs without fields: no body, an empty one and ``{}`` mean the same."""
