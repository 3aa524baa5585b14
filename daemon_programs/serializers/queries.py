"""Validate the query parameters of the routes."""

from collections.abc import Iterable
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from daemon_programs.logs.chosen import BOTH, TYPES
from daemon_programs.models import Delivery
from daemon_programs.models.fields import PROGRAM_FIELDS
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.selection import STATES
from daemon_programs.serializers.keys import NUMBERS, take_key
from daemon_programs.serializers.list_queries import (
    ListQuerySerializer,
    QueryFields,
    QueryStatuses,
    sort_field,
)
from daemon_programs.serializers.query_fields import (
    QueryBoolean,
    QueryChoice,
    QueryCursor,
    QueryInteger,
    QueryLabels,
    QueryList,
    QueryText,
    QueryTime,
    RepeatedField,
)
from daemon_programs.text import printable
from daemon_programs.validators import rules

MAX_WORDS = 200  # of a selection
MAX_GREP = 1000  # characters


def check_keys(query: QueryDict, known: Iterable[str], repeatable: Iterable[str] = ()) -> None:
    """Refuse keys that a route does not know, and keys that occur twice: one value would be ignored."""
    errors = {key: f"Unknown query parameter '{printable(key)}'" for key in query.keys() - set(known)}
    for key, values in query.lists():
        if len(values) > 1 and key not in repeatable:
            errors.setdefault(key, f"Query parameter '{key}' must be given only once")
    if errors:
        raise serializers.ValidationError({printable(key): [errors[key]] for key in query if key in errors})


def keys_of(serializer_class: type[serializers.Serializer] | None) -> Iterable[str]:
    """Return the keys that a query may have; none without a serializer."""
    return serializer_class._declared_fields if serializer_class else ()


def repeatable_keys_of(serializer_class: type[serializers.Serializer] | None) -> Iterable[str]:
    """Return the keys that may occur more than once in a query."""
    fields = serializer_class._declared_fields.items() if serializer_class else ()
    return [name for name, field in fields if isinstance(field, RepeatedField)]


class LogQuerySerializer(serializers.Serializer):
    """Validate the query of ``logs``."""

    type = serializers.CharField(default="stdout", trim_whitespace=False, allow_blank=True)
    lines = QueryInteger(1, 10000, default=100)

    def validate_type(self, value: str) -> str:
        """Refuse unknown log types, with the contract's sentence."""
        if value not in ("stdout", "stderr"):
            raise serializers.ValidationError("Invalid 'type' value: must be 'stdout' or 'stderr'")
        return value


class SelectedLogsSerializer(serializers.Serializer):
    """Validate which logs of which programs a query is about, and which of their lines."""

    select = QueryList(MAX_WORDS, default=())
    type = serializers.CharField(default=BOTH, trim_whitespace=False, allow_blank=True)
    since = QueryTime(required=False)
    grep = QueryText(MAX_GREP, required=False)
    ignore_case = QueryBoolean(default=False)

    def validate_type(self, value: str) -> str:
        """Refuse unknown log types, with a sentence like the contract's."""
        if value not in TYPES:
            raise serializers.ValidationError("Invalid 'type' value: must be 'stdout', 'stderr' or 'both'")
        return value


class MergedLogQuerySerializer(SelectedLogsSerializer):
    """Validate the query of ``logs`` of several programs."""

    until = QueryTime(required=False)
    lines = QueryInteger(1, 10000, default=100)


class EventQuerySerializer(serializers.Serializer):
    """Validate the query of ``events``."""

    since = QueryTime(required=False)
    state = QueryChoice(statuses.STATUSES, required=False)
    limit = QueryInteger(1, 1000, default=100)
    cursor = QueryCursor(required=False)


class InstanceQuerySerializer(serializers.Serializer):
    """Validate which instance of a program a query is about; the values have it as ``key``."""

    port = QueryInteger(*rules.PORTS, required=False)
    instance = QueryInteger(*NUMBERS, required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Replace the port or the number by the key of the instance."""
        return take_key(super().validate(values), "Query parameter")


class InstanceLogQuerySerializer(LogQuerySerializer, InstanceQuerySerializer):
    """Validate the query of ``logs`` of a program, which may have instances."""


class StatusQuerySerializer(InstanceQuerySerializer):
    """Validate the query of ``GET status/{id}``."""

    include_stats = QueryBoolean(default=False)


SORTS = ("id", "name", "status", "cpu", "memory")
LISTED_FIELDS = ("id", *(field.name for field in PROGRAM_FIELDS), "status", "stats")


class ProgramFilterSerializer(ListQuerySerializer):
    """Validate the query of ``GET programs``. Filters are combined with AND."""

    hoody_kit = QueryBoolean(required=False)
    lazy_load = QueryBoolean(required=False)
    enabled = QueryBoolean(required=False)
    boot = QueryBoolean(required=False)
    name = serializers.CharField(required=False, trim_whitespace=False, allow_blank=True)
    label = QueryLabels(required=False)  # type: ignore[assignment]  # DRF takes it out of the class
    port = QueryInteger(*rules.PORTS, required=False)
    port_from = QueryInteger(*rules.PORTS, required=False)
    port_to = QueryInteger(*rules.PORTS, required=False)
    include_status = QueryBoolean(required=False)
    include_stats = QueryBoolean(required=False)
    status = QueryStatuses(STATES, required=False)
    sort = sort_field(SORTS)
    fields = QueryFields(LISTED_FIELDS, required=False)  # type: ignore[assignment]  # DRF takes it out

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse half a range of ports, and a range that ends before it starts."""
        values = super().validate(values)
        if ("port_from" in values) is not ("port_to" in values):
            raise serializers.ValidationError(
                "Query parameters 'port_from' and 'port_to' must be given together"
            )
        if "port_from" in values and values["port_from"] > values["port_to"]:
            raise serializers.ValidationError(
                "Query parameter 'port_from' must not be greater than 'port_to'"
            )
        return values


class DeliveryQuerySerializer(serializers.Serializer):
    """Validate the query of ``deliveries``."""

    state = QueryChoice(Delivery.STATES, required=False)
    limit = QueryInteger(1, 1000, default=100)
    cursor = QueryCursor(required=False)
