"""Validate what clients send to quick start (docs/contract.md, section 6)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field

from daemon_programs.programs.observed import statuses
from daemon_programs.serializers.fields import RequiredString, StrictField, StrictInteger
from daemon_programs.serializers.list_queries import (
    ListQuerySerializer,
    QueryFields,
    QueryStatuses,
    sort_field,
)
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


SORTS = ("id", "name", "status")
LISTED_FIELDS = (
    "temporary_id",
    "name",
    "command",
    "user",
    "status",
    "pid",
    "uptime",
    "created_at",
    "expires_at",
)


class ListSerializer(ListQuerySerializer):
    """The query of the list."""

    status = QueryStatuses(statuses.STATUSES, required=False)
    sort = sort_field(SORTS)
    fields = QueryFields(LISTED_FIELDS, required=False)  # type: ignore[assignment]  # DRF takes it out


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
