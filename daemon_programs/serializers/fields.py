"""Serializer fields that accept exactly one JSON type (docs/contract.md, section 1, "JSON types").

DRF's own fields accept ``"5"`` as an integer and ``0`` as false. Each error message here is a whole
sentence that names the field.
"""

from collections.abc import Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.text import printable


class StrictField(serializers.Field):
    """Accept exactly one Python type; ``what`` describes it in error messages."""

    python_type: type = object
    what = "a value"

    def fail_with(self, sentence: str) -> None:
        """Raise a ValidationError; the sentence goes on after the name of the field."""
        raise serializers.ValidationError(f"Field '{self.field_name}' {sentence}")

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        if data is empty and self.required and not getattr(self.root, "partial", False):
            self.fail_with("is required")
        if data is None and not self.allow_null:
            self.fail_with(f"must be {self.what}")
        return super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Any:
        if type(data) is not self.python_type:
            self.fail_with(f"must be {self.what}")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class StrictString(StrictField, serializers.CharField):
    """Accept any string that programs and the database can take; don't strip it."""

    python_type = str
    what = "a string"
    takes_nul = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # `to_internal_value` checks the length. DRF's attribute for it stays, for OpenAPI.
        self.validators = []

    def run_validation(self, data: Any = empty) -> Any:
        # CharField's own method would strip blanks before the validation.
        return serializers.Field.run_validation(self, data)

    def to_internal_value(self, data: Any) -> str:
        text: str = StrictField.to_internal_value(self, data)
        check_text(text, f"Field '{self.field_name}'")
        if self.max_length is not None and len(text) > self.max_length:
            self.fail_with(f"must have at most {self.max_length} characters")
        return text


class RequiredString(StrictString):
    """Accept a string that is not blank; everything else gets the same error message."""

    what = "required"

    def fail_with(self, sentence: str) -> None:
        if "required" in sentence:
            sentence = "is required and must be a non-empty string"
        super().fail_with(sentence)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not text.strip():
            self.fail_with("is required")
        return text


class StrictInteger(StrictField, serializers.IntegerField):
    """Accept a JSON integer within ``limits``, inclusive."""

    python_type = int
    what = "an integer"

    def __init__(self, *, limits: tuple[int, int], **kwargs: Any) -> None:
        self.low, self.high = limits
        super().__init__(min_value=self.low, max_value=self.high, **kwargs)
        # `to_internal_value` checks the limits. DRF's attributes for them stay, for OpenAPI.
        self.validators = []

    def to_internal_value(self, data: Any) -> int:
        number: int = StrictField.to_internal_value(self, data)
        if not self.low <= number <= self.high:
            self.fail_with(f"must be between {self.low} and {self.high}")
        return number


class StrictBoolean(StrictField, serializers.BooleanField):
    """Accept ``true`` or ``false``."""

    python_type = bool
    what = "true or false"


class StrictChoice(StrictField, serializers.ChoiceField):
    """Accept one of the strings in ``choices``."""

    def __init__(self, choices: Sequence[str], **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        self.what = f"one of: {', '.join(self.choices)}"

    def to_internal_value(self, data: Any) -> str:
        if type(data) is not str or data not in self.choices:
            self.fail_with(f"must be {self.what}")
        return str(data)


class StrictList(StrictField, serializers.ListField):
    """Accept a list of 1 to ``max_length`` elements, each of which ``child`` accepts."""

    python_type = list
    what = "a list"

    def __init__(self, *, max_length: int, **kwargs: Any) -> None:
        super().__init__(max_length=max_length, **kwargs)
        # `to_internal_value` checks the length. DRF's attribute for it stays, for OpenAPI.
        self.validators = []

    def to_internal_value(self, data: Any) -> list[Any]:
        elements: list[Any] = StrictField.to_internal_value(self, data)
        if not elements:
            self.fail_with("must not be empty")
        if self.max_length is not None and len(elements) > self.max_length:
            self.fail_with(f"must have at most {self.max_length} elements")
        return [self._element(number, element) for number, element in enumerate(elements)]

    def _element(self, number: int, element: Any) -> Any:
        self.child.field_name = f"{self.field_name}[{number}]"  # for its error messages
        return self.child.run_validation(element)


class StrictStringMap(StrictField, serializers.DictField):
    """Accept an object whose values are all strings."""

    python_type = dict
    what = "an object that maps names to strings"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=serializers.CharField(), **kwargs)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        pairs: dict[str, str] = StrictField.to_internal_value(self, data)
        for name, value in pairs.items():
            if type(value) is not str:
                self.fail_with(f"must be an object that maps names to strings: '{printable(name)}' is none")
        return pairs


class StrictObject(StrictField, serializers.DictField):
    """Accept any object; its content is validated elsewhere."""

    python_type = dict
    what = "an object"


class JsonValue(StrictField):
    """Accept any JSON value; the model's validators check it."""

    what = "an object or a list"

    def to_internal_value(self, data: Any) -> Any:
        return data


class StrictSerializer(serializers.Serializer):
    """Refuse unknown keys, so that a typo is not silently dropped; drop ``ignored_keys``."""

    ignored_keys: frozenset[str] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        unknown = [key for key in data if key not in self.fields and key not in self.ignored_keys]
        if unknown:
            raise serializers.ValidationError(
                {printable(key): [f"Unknown field '{printable(key)}'"] for key in unknown}
            )
        return super().to_internal_value(data)


def check_text(text: str, what: str) -> None:
    """Raise a ValidationError for NUL and halves of surrogate pairs, which no program can take.

    ``what`` names the text in the message.
    """
    if "\0" in text:
        raise serializers.ValidationError(f"{what} must not contain NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise serializers.ValidationError(f"{what} must be valid Unicode text") from None
