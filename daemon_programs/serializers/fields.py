"""Serializer fields that take a JSON type as what it is (contract, section 1, "JSON types").

DRF's own fields read ``"5"`` as an integer and ``0`` as false; the contract doesn't. Each message is
a whole sentence that names its field.
"""

from typing import Any

from rest_framework import serializers
from rest_framework.fields import empty

from daemon_programs.text import printable


class StrictField(serializers.Field):
    """Of one Python type exactly; ``what`` names it in the sentence."""

    python_type: type = object
    what = "a value"

    def fail_with(self, sentence: str) -> None:
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
    python_type = str
    what = "a string"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Our own sentences are said instead; the length stays for OpenAPI.
        self.validators = []

    def run_validation(self, data: Any = empty) -> Any:
        # Not CharField's own, which strips blanks: what is typed is what is kept.
        return serializers.Field.run_validation(self, data)

    def to_internal_value(self, data: Any) -> str:
        text: str = StrictField.to_internal_value(self, data)
        check_text(text, f"Field '{self.field_name}'")
        if self.max_length is not None and len(text) > self.max_length:
            self.fail_with(f"must have at most {self.max_length} characters")
        return text


class RequiredString(StrictString):
    """Missing, null, of another type, or blank: one sentence for all of it."""

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
    """A JSON integer within ``limits``, both included."""

    python_type = int
    what = "an integer"

    def __init__(self, *, limits: tuple[int, int], **kwargs: Any) -> None:
        self.low, self.high = limits
        super().__init__(min_value=self.low, max_value=self.high, **kwargs)
        # Our own sentence is said instead; the limits stay for OpenAPI.
        self.validators = []

    def to_internal_value(self, data: Any) -> int:
        number: int = StrictField.to_internal_value(self, data)
        if not self.low <= number <= self.high:
            self.fail_with(f"must be between {self.low} and {self.high}")
        return number


class StrictBoolean(StrictField, serializers.BooleanField):
    python_type = bool
    what = "true or false"


class StrictChoice(StrictField, serializers.ChoiceField):
    """One of a few strings."""

    def to_internal_value(self, data: Any) -> str:
        if type(data) is not str or data not in self.choices:
            self.fail_with(f"must be one of: {', '.join(self.choices)}")
        return str(data)


class StrictStringMap(StrictField, serializers.DictField):
    """An object whose values are all strings."""

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
    """An object of a shape that is checked elsewhere."""

    python_type = dict
    what = "an object"


class StrictSerializer(serializers.Serializer):
    """Refuses keys that it does not know: a typo must not be silently dropped."""

    ignored_keys: frozenset[str] = frozenset()

    def to_internal_value(self, data: Any) -> Any:
        unknown = [key for key in data if key not in self.fields and key not in self.ignored_keys]
        if unknown:
            raise serializers.ValidationError(
                {printable(key): [f"Unknown field '{printable(key)}'"] for key in unknown}
            )
        return super().to_internal_value(data)


def check_text(text: str, what: str) -> None:
    """Refuse what no program and no database can be given: NUL, and halves of surrogate pairs."""
    if "\0" in text:
        raise serializers.ValidationError(f"{what} must not contain NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise serializers.ValidationError(f"{what} must be valid Unicode text") from None
