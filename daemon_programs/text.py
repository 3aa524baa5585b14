"""Text from outside: numbers in it, and a form of it that can be shown."""

_MOST_DIGITS = 18  # fit into the database's integers
_LONGEST_SHOWN = 128


def to_number(text: str, *, most_digits: int = _MOST_DIGITS) -> int | None:
    """Return the number that ASCII digits stand for; None for all other text, and for too many digits."""
    is_number = text.isascii() and text.isdigit() and len(text) <= most_digits
    return int(text) if is_number else None


def printable(value: object) -> str:
    """Return a short form that every answer, log and terminal can carry.

    Some clients send halves of surrogate pairs, which no encoding has.
    """
    return encodable(str(value))[:_LONGEST_SHOWN]


def encodable(text: str) -> str:
    """Return the text with each half of a surrogate pair replaced."""
    return text.encode(errors="replace").decode()
