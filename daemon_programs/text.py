"""Parse numbers in text from outside, and make such text printable."""

_MAX_DIGITS = 18  # more may not fit into an integer of the database
_MAX_SHOWN_CHARACTERS = 128


def to_number(text: str, *, max_digits: int = _MAX_DIGITS) -> int | None:
    """Return the number that ASCII digits spell; None for other text and for more than ``max_digits``."""
    is_number = text.isascii() and text.isdigit() and len(text) <= max_digits
    return int(text) if is_number else None


def printable(value: object) -> str:
    """Return the value as text of at most 128 characters that every response, log and terminal can encode."""
    return encodable(str(value))[:_MAX_SHOWN_CHARACTERS]


def encodable(text: str) -> str:
    """Return the text with "?" for each half of a surrogate pair.

    JSON can contain such halves, and no encoding can represent them.
    """
    return text.encode(errors="replace").decode()
