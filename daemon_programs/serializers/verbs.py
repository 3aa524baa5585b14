"""Validate the bodies of the verbs: start, stop, restart, and those that take no fields."""

from daemon_programs.serializers.fields import StrictBoolean, StrictInteger, StrictSerializer
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


class StopSerializer(StrictSerializer):
    """Validate the body of ``stop``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")


class NoFieldsSerializer(StrictSerializer):
    """Validate the body of verbs without fields: no body, an empty one and ``{}`` mean the same."""
