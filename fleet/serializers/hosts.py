"""Validate bodies and queries of the routes of hosts. The model's validators check the values."""

from typing import Any

from drf_spectacular.utils import extend_schema_field

from daemon_programs.models.fields import FIELD
from daemon_programs.serializers.fields import (
    RequiredString,
    StrictBoolean,
    StrictField,
    StrictInteger,
    StrictSerializer,
    StrictString,
)
from daemon_programs.serializers.list_queries import ListQuerySerializer, QueryStatuses
from daemon_programs.serializers.query_fields import QueryLabels
from fleet.models import Link
from fleet.validators import INVITED_SECONDS

STATES = tuple(Link.State.values)
_MOST_CA = 100_000
_MOST_NOTES = 10_000
_LABELS: Any = FIELD["labels"].schema


@extend_schema_field(_LABELS)
class Labels(StrictField):
    """Accept an object; the model checks the rules of labels."""

    python_type = dict
    what = "an object"


class HostListSerializer(ListQuerySerializer):
    """Validate the query of ``GET hosts``. Filters are combined with AND; the list is by name."""

    user = None  # type: ignore[assignment]  # DRF takes it out of the class
    label = QueryLabels(required=False)  # type: ignore[assignment]  # DRF takes it out of the class
    state = QueryStatuses(STATES, required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse a cursor of another list."""
        return super().validate({**values, "sort": "name"})


class HostEditSerializer(StrictSerializer):
    """Validate the body of ``hosts/edit``. Only what is given is changed."""

    url = RequiredString(max_length=500, required=False, help_text="Where its daemon answers.")
    token = RequiredString(
        max_length=500,
        required=False,
        write_only=True,
        help_text="An API token of the host. It is in no answer. Another `url` or `ca` needs it.",
    )
    ca = StrictString(
        max_length=_MOST_CA,
        required=False,
        help_text="The certificates (PEM) that its certificate must lead to. Empty: those of this system.",
    )
    labels = Labels(required=False, help_text="As those of programs.")
    notes = StrictString(max_length=_MOST_NOTES, required=False, help_text="Free text.")
    check = StrictBoolean(
        default=True, help_text="Ask the host first, and refuse what doesn't work. False: save it anyway."
    )


class HostAddSerializer(HostEditSerializer):
    """Validate the body of ``hosts/add``."""

    name = RequiredString(max_length=63, help_text="Lower-case letters, digits, `-` and `.`.")
    url = RequiredString(max_length=500, help_text="Where its daemon answers.")
    token = RequiredString(
        max_length=500, write_only=True, help_text="An API token of the host. It is in no answer."
    )


class InviteSerializer(StrictSerializer):
    """Validate the body of ``hosts/invite``."""

    name = RequiredString(
        max_length=63,
        default=None,
        allow_null=True,
        help_text="The host's. One that is there may replace its address and token. Null: it chooses.",
    )
    labels = Labels(default=dict, help_text="The labels that the host gets.")
    ttl = StrictInteger(limits=INVITED_SECONDS, default=3600, help_text="Seconds that the code is valid for.")


class JoinSerializer(StrictSerializer):
    """Validate the body of ``hosts/join``, which a host sends itself."""

    code = RequiredString(max_length=100, write_only=True, help_text="The one-time code.")
    name = RequiredString(
        max_length=63, default=None, allow_null=True, help_text="The host's; null: that of the code."
    )
    url = RequiredString(max_length=500, help_text="Where its daemon answers, for the hub.")
    token = RequiredString(max_length=500, write_only=True, help_text="An API token of the host.")
    ca = StrictString(
        max_length=_MOST_CA, default="", help_text="The certificates (PEM) that its certificate must lead to."
    )
    check = StrictBoolean(
        default=True, help_text="The hub asks the host first, and refuses what doesn't work."
    )
