"""The bodies of the verbs: start, stop, restart, and those that need nothing said."""

from daemon_programs.serializers.fields import StrictBoolean, StrictInteger, StrictSerializer
from daemon_programs.validators import rules


class StartSerializer(StrictSerializer):
    """The body of ``start``; none at all means the same as ``{}``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")
    wait = StrictBoolean(default=False, help_text="Answer when it runs.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait.")
    if_not_running = StrictBoolean(default=False, help_text="What runs already is no error.")


class RestartSerializer(StrictSerializer):
    """The body of ``restart``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")
    wait = StrictBoolean(default=False, help_text="Answer when it runs again.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait.")


class StopSerializer(StrictSerializer):
    """The body of ``stop``."""

    port = StrictInteger(limits=rules.PORTS, required=False)
    all = StrictBoolean(default=False, help_text="Every instance of a port range.")


class NoFieldsSerializer(StrictSerializer):
    """The body of verbs that need nothing said: none, empty and ``{}`` mean the same."""
