"""Validate the queries of lists: filters, order, fields, and where a page begins."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from rest_framework import serializers

from daemon_programs.serializers.query_fields import QueryChoice, QueryField, QueryInteger, RepeatedField
from daemon_programs.text import printable

MOST_TEXT = 200
SORTS_OF_TEXT = ("name", "status")  # the others are by numbers
_MOST_CURSOR = 4000


class ListCursor(NamedTuple):
    """The place of a page's last row in a list. The list goes on after it, whatever has changed meanwhile."""

    sort: str
    value: str | float  # what the list is sorted by
    id: int

    def encode(self) -> str:
        """Return it as text, which is opaque to clients."""
        text = json.dumps(self, ensure_ascii=False, allow_nan=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "ListCursor":
        """Return what was encoded; raise ValueError for any other text."""
        if len(text) > _MOST_CURSOR or not text.isascii():
            raise ValueError(text)
        try:
            sort, value, id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, TypeError, RecursionError) as problem:
            raise ValueError(text) from problem
        cursor = cls(sort, value, id)
        is_number = type(value) in (int, float)
        if type(sort) is not str or type(id) is not int or not (is_number or type(value) is str):
            raise ValueError(text)
        if cursor.encode() != text:
            raise ValueError(text)
        return cursor


class QueryListCursor(QueryField):
    """Accept the ``next`` of an earlier response of a list."""

    def to_internal_value(self, data: str) -> ListCursor:
        try:
            return ListCursor.decode(data)
        except ValueError:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be the 'next' of an earlier answer"
            ) from None


class QueryText(QueryField):
    """Accept a text that is not empty."""

    def to_internal_value(self, data: str) -> str:
        if not 1 <= len(data) <= MOST_TEXT:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be a text of 1 to {MOST_TEXT} characters"
            )
        return data


class QueryStatuses(RepeatedField):
    """Accept statuses. The parameter may be given more than once."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(**kwargs)

    def to_internal_value(self, data: list[str]) -> frozenset[str]:
        for word in data:
            if word not in self.choices:
                raise serializers.ValidationError(
                    f"Query parameter '{self.field_name}' must be one of: {', '.join(self.choices)}"
                )
        return frozenset(data)


class QueryFields(QueryField):
    """Accept names of fields with commas between them."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        self.choices = frozenset(choices)
        super().__init__(**kwargs)

    def to_internal_value(self, data: str) -> frozenset[str]:
        names = data.split(",")
        unknown = next((name for name in names if name not in self.choices), None)
        if unknown is not None:
            raise serializers.ValidationError(
                f"Query parameter '{self.field_name}' must be names of fields with commas between them, "
                f"and '{printable(unknown)}' is none"
            )
        return frozenset(names)


class ListQuerySerializer(serializers.Serializer):
    """Validate what the queries of all lists have in common.

    Subclasses add ``status``, ``sort`` and ``fields``, of which each list has its own words.
    """

    user = serializers.CharField(required=False, trim_whitespace=False, allow_blank=True)
    q = QueryText(required=False)
    limit = QueryInteger(1, 1000, required=False)
    cursor = QueryListCursor(required=False)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse the cursor of a list in another order."""
        values = super().validate(values)
        if "cursor" in values and not _belongs_to(values["cursor"], values.get("sort", "id")):
            raise serializers.ValidationError(
                {"cursor": ["Query parameter 'cursor' must be the 'next' of an answer with the same sort"]}
            )
        return values


def _belongs_to(cursor: ListCursor, sort: str) -> bool:
    is_text = sort.removeprefix("-") in SORTS_OF_TEXT
    return cursor.sort == sort and isinstance(cursor.value, str) is is_text


def sort_field(keys: Sequence[str]) -> QueryChoice:
    """Return the field of ``sort``: a key, or one with ``-`` before it for the reverse order."""
    return QueryChoice([order for key in keys for order in (key, f"-{key}")], required=False)
