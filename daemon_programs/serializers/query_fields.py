"""Serializer fields of query parameters: text that must be exactly one form of a value."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.text import to_number


class QueryField(serializers.Field):
    """A query parameter. One that is empty is no value that parses; DRF would take it as not sent."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, empty)


class QueryBoolean(QueryField):
    """A query parameter that is exactly ``true`` or ``false``, in any letter case."""

    def to_internal_value(self, data: str) -> bool:
        if data.lower() not in ("true", "false"):
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be 'true' or 'false'"
            )
        return data.lower() == "true"


class QueryInteger(QueryField):
    """A query parameter that is a decimal number within limits."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        self.low, self.high = low, high
        super().__init__(**kwargs)

    def to_internal_value(self, data: str) -> int:
        number = to_number(data, most_digits=9)
        if number is None or not self.low <= number <= self.high:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be an integer between {self.low} and {self.high}"
            )
        return number


class QueryChoice(QueryField):
    """A query parameter that is one of a few words."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(**kwargs)

    def to_internal_value(self, data: str) -> str:
        if data not in self.choices:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be one of: {', '.join(self.choices)}"
            )
        return data


class QueryTime(QueryField):
    """A query parameter that is a time in ISO 8601; without an offset it is UTC."""

    def to_internal_value(self, data: str) -> datetime:
        try:
            # A + that is not escaped arrives as a blank.
            moment = datetime.fromisoformat(re.sub(r"(?<=T)(.+) (?=\d\d:?\d\d$)", r"\1+", data))
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        except (ValueError, OverflowError):
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be a time such as 2026-01-31T22:00:00Z"
            ) from None


class QueryCursor(QueryField):
    """A query parameter that an earlier answer gave as ``next``: a row's id, which nobody has to know."""

    def to_internal_value(self, data: str) -> int:
        number = to_number(data)
        if number is None:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be the 'next' of an earlier answer"
            )
        return number
