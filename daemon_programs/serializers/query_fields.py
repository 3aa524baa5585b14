"""Serializer fields for query parameters, which accept exactly the documented forms of a value."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.text import printable, to_number
from daemon_programs.validators.labels import MAX_LABELS, Selector, parse_selector

_MAX_TIME_CHARACTERS = 64
_UNESCAPED_PLUS = re.compile(r"^([^T ]+T[^ ]+) ([0-9]{2}:?[0-9]{2})$")


class QueryField(serializers.Field):
    """Take a query parameter that is empty as a value, which then fails; DRF's fields take it as missing."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, empty)


class QueryBoolean(QueryField):
    """Accept exactly ``true`` or ``false``, in any letter case."""

    def to_internal_value(self, data: str) -> bool:
        if data.lower() not in ("true", "false"):
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be 'true' or 'false'"
            )
        return data.lower() == "true"


class QueryInteger(QueryField):
    """Accept a decimal number from ``low`` to ``high``."""

    def __init__(self, low: int, high: int, **kwargs: Any) -> None:
        self.low, self.high = low, high
        super().__init__(**kwargs)

    def to_internal_value(self, data: str) -> int:
        number = to_number(data, max_digits=9)
        if number is None or not self.low <= number <= self.high:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be an integer between {self.low} and {self.high}"
            )
        return number


class QueryChoice(QueryField):
    """Accept one of the words in ``choices``."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(**kwargs)

    def to_internal_value(self, data: str) -> str:
        if data not in self.choices:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be one of: {', '.join(self.choices)}"
            )
        return data


class RepeatedField(serializers.Field):
    """Take all values of a parameter, which may be given more than once."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.getlist(self.field_name) or empty


class QueryLabels(RepeatedField):
    """Accept labels, each as ``key=value`` or ``key``."""

    def to_internal_value(self, data: list[str]) -> list[Selector]:
        if len(data) > MAX_LABELS:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must not be given more than {MAX_LABELS} times"
            )
        return [self._selector(text) for text in data]

    def _selector(self, text: str) -> Selector:
        selector = parse_selector(text)
        if selector is None:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be a label such as team=web, or the key of one, "
                f"and '{printable(text)}' is not"
            )
        return selector


class QueryTime(QueryField):
    """Accept a time in ISO 8601; without an offset it is UTC."""

    def to_internal_value(self, data: str) -> datetime:
        if len(data) <= _MAX_TIME_CHARACTERS:
            with suppress(ValueError, OverflowError):
                # Clients forget to escape a +, which then arrives as a blank.
                moment = datetime.fromisoformat(_UNESCAPED_PLUS.sub(r"\1+\2", data))
                return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        raise serializers.ValidationError(
            f"Query parameter '{self.field_name}' must be a time such as 2026-01-31T22:00:00Z"
        )


class QueryCursor(QueryField):
    """Accept the ``next`` of an earlier response: a row's id, which is opaque to clients."""

    def to_internal_value(self, data: str) -> int:
        number = to_number(data)
        if number is None:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be the 'next' of an earlier answer"
            )
        return number
