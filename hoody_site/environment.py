"""The values of environment variables: what a text stands for, or why it can't be used.

Each process of the stack reads the settings when it starts, so this takes no library.
"""

_TRUE = {"true", "t", "yes", "y", "on", "1"}
_FALSE = {"false", "f", "no", "n", "off", "0"}


class InvalidValueError(ValueError):
    """A value that can't be used; the message says what it must be."""


def boolean(text: str) -> bool:
    """Return the truth value that a word stands for."""
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise InvalidValueError("Not a valid boolean.")
    return word in _TRUE


def integer(text: str) -> int:
    """Return a whole number."""
    try:
        return int(text)
    except ValueError:
        raise InvalidValueError("Not a valid integer.") from None


def items(text: str) -> list[str]:
    """Return the parts between commas, as they are."""
    return text.split(",")
