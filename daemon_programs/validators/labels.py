"""The rules of labels, which are those of Kubernetes, of sets, and what a filter by label accepts."""

import re
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError

from daemon_programs.text import printable

MAX_LABELS = 32
_MAX_PART = 63  # characters of a value, and of a key without its prefix
_MAX_PREFIX = 253

_WORD = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


class Selector(NamedTuple):
    """What a filter asks for: a label's key, and its value if that matters."""

    key: str
    value: str | None

    def selects(self, labels: dict[str, str]) -> bool:
        """Return whether the labels of a program have it."""
        return self.key in labels if self.value is None else labels.get(self.key) == self.value


def check_labels(labels: Any) -> None:
    """Require a map of at most 32 keys to short values."""
    if not isinstance(labels, dict):
        raise ValidationError("Field 'labels' must be an object that maps keys to strings")
    if len(labels) > MAX_LABELS:
        raise ValidationError(f"Field 'labels' must not have more than {MAX_LABELS} labels")
    for key, value in labels.items():
        if not isinstance(key, str) or not _is_key(key):
            raise ValidationError(
                f"Field 'labels' has a key that is not allowed: '{printable(str(key))}' (at most "
                f"{_MAX_PART} letters, digits, '-', '_' and '.', a letter or digit first and last; "
                "a domain and '/' may precede)"
            )
        if not isinstance(value, str) or not _is_value(value):
            raise ValidationError(
                f"Field 'labels' has a value that is not allowed: that of '{key}' must be text of at most "
                f"{_MAX_PART} letters, digits, '-', '_' and '.', a letter or digit first and last"
            )


def check_set(name: str) -> None:
    """Require the name of a set to be like the value of a label."""
    if not _is_value(name):
        raise ValidationError(
            f"Field 'set' must have at most {_MAX_PART} letters, digits, '-', '_' and '.', a letter or digit "
            "first and last"
        )


def parse_selector(text: str) -> Selector | None:
    """Return what ``key=value`` or ``key`` asks for; None if no label can be like that."""
    key, separator, value = text.partition("=")
    if not _is_key(key) or not _is_value(value):
        return None
    return Selector(key, value if separator else None)


def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    is_prefix_valid = not slash or (len(prefix) <= _MAX_PREFIX and bool(_DOMAIN.fullmatch(prefix)))
    return is_prefix_valid and len(name) <= _MAX_PART and bool(_WORD.fullmatch(name))


def _is_value(value: str) -> bool:
    return not value or (len(value) <= _MAX_PART and bool(_WORD.fullmatch(value)))
