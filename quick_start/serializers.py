"""Validate what clients send to quick start (docs/contract.md, section 6)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field

from daemon_programs.serializers.fields import RequiredString, StrictField, StrictInteger
from daemon_programs.serializers.program import SupervisedProgramSerializer
from daemon_programs.validators import rules
from quick_start.models import TTL_SECONDS
from quick_start.services import EXIT


@extend_schema_field({"oneOf": [{"type": "boolean"}, {"type": "string", "enum": [EXIT]}]})
class WaitField(StrictField):
    """Accept ``true``, ``false`` or ``"exit"``."""

    def to_internal_value(self, data: Any) -> bool | str:
        """Return the value unchanged, or fail."""
        if data is not True and data is not False and data != EXIT:
            self.fail_with("must be true, false or 'exit'")
        return data


class LaunchSerializer(SupervisedProgramSerializer):
    """The body of a launch."""

    name = RequiredString(max_length=rules.NAME_LENGTH, required=False, help_text="Generated if omitted.")
    ttl = StrictInteger(
        limits=TTL_SECONDS,
        required=False,
        allow_null=True,
        help_text="Seconds after which it is stopped.",
    )
    wait = WaitField(default=False, help_text="Respond once it runs, or with `exit` once it has ended.")
    timeout = StrictInteger(limits=(1, 300), default=30, help_text="Seconds to wait.")
