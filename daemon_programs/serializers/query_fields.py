"""Serializer fields for query parameters, which accept exactly the documented forms of a value."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.text import printable, to_number
from daemon_programs.validators.labels import MAX_LABELS, Selector, parse_selector

_MAX_TIME_CHARACTERS = 64
_AGO = re.compile("([0-9]{1,5})([smhd])")
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
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


class QueryList(RepeatedField):
    """Accept a parameter that may be given up to ``most`` times."""

    def __init__(self, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(**kwargs)

    def to_internal_value(self, data: list[str]) -> list[Any]:
        if len(data) > self.most:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must not be given more than {self.most} times"
            )
        return [self.one(text) for text in data]

    def one(self, text: str) -> Any:
        """Return what one of the values stands for; raise a ValidationError if it is not valid."""
        return text


class QueryLabels(QueryList):
    """Accept labels, each as ``key=value`` or ``key``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(MAX_LABELS, **kwargs)

    def one(self, text: str) -> Selector:
        selector = parse_selector(text)
        if selector is None:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be a label such as team=web, or the key of one, "
                f"and '{printable(text)}' is not"
            )
        return selector


class QueryText(QueryField):
    """Accept a text of 1 to ``most`` characters in one line."""

    def __init__(self, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(**kwargs)

    def to_internal_value(self, data: str) -> str:
        if not 1 <= len(data) <= self.most or "\n" in data:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be 1 to {self.most} characters in one line"
            )
        return data


class QueryTime(QueryField):
    """Accept a time in ISO 8601, which without an offset is UTC, or how long ago it was, as in ``10m``."""

    def to_internal_value(self, data: str) -> datetime:
        if ago := _AGO.fullmatch(data):
            return datetime.now(UTC) - int(ago[1]) * _UNITS[ago[2]]
        if len(data) <= _MAX_TIME_CHARACTERS:
            with suppress(ValueError, OverflowError):
                # Clients forget to escape a +, which then arrives as a blank.
                moment = datetime.fromisoformat(_UNESCAPED_PLUS.sub(r"\1+\2", data))
                return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        raise serializers.ValidationError(
            f"Query parameter '{self.field_name}' must be a time such as 2026-01-31T22:00:00Z, "
            "or such as 10m for 10 minutes ago"
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
