"""Parse numbers and command lines in text from outside, and make such text printable."""

import re

_MAX_DIGITS = 18  # more may not fit into an integer of the database
_MAX_SHOWN_CHARACTERS = 128


def to_number(text: str, *, max_digits: int = _MAX_DIGITS) -> int | None:
    """Return the number that ASCII digits spell; None for other text and for more than ``max_digits``."""
    is_number = text.isascii() and text.isdigit() and len(text) <= max_digits
    return int(text) if is_number else None


# Possessive (`++`), so that an unclosed quote is not searched for again from each character.
_PIECES = re.compile(
    r"""(?P<blank>[ \t\r\n]+)|(?P<plain>[^ \t\r\n'"\\]+)|'(?P<single>[^']*)'"""
    r"""|"(?P<double>(?:[^"\\]++|\\.)*+)"|\\(?P<escaped>.)|(?P<unclosed>['"\\])""",
    re.DOTALL,
)
_ESCAPED_IN_QUOTES = re.compile(r"""\\(["\\])""")


def split_words(text: str) -> list[str]:
    """Return the words of a command line, split and unquoted as by a POSIX shell.

    The result is that of ``shlex.split``, which takes minutes for a word of a megabyte: it copies the word
    for each character. Raise ValueError, with the same messages, if a quote is not closed.
    """
    words: list[str] = []
    pieces: list[str] | None = None  # of the word so far; None between words
    for match in _PIECES.finditer(text):
        kind, piece = match.lastgroup, match[match.lastgroup or 0]
        if kind == "unclosed":
            raise ValueError(_why_unclosed(piece, text))
        if kind == "blank":
            if pieces is not None:
                words.append("".join(pieces))
            pieces = None
            continue
        pieces = pieces or []
        pieces.append(_ESCAPED_IN_QUOTES.sub(r"\1", piece) if kind == "double" else piece)
    return words if pieces is None else [*words, "".join(pieces)]


def _why_unclosed(piece: str, text: str) -> str:
    backslashes = len(text) - len(text.rstrip("\\"))
    ends_in_escape = piece != "'" and backslashes % 2 == 1
    return "No escaped character" if ends_in_escape else "No closing quotation"


def printable(value: object) -> str:
    """Return the value as text of at most 128 characters that every response, log and terminal can encode."""
    return encodable(str(value))[:_MAX_SHOWN_CHARACTERS]


def encodable(text: str) -> str:
    """Return the text with "?" for each half of a surrogate pair.

    JSON can contain such halves, and no encoding can represent them.
    """
    return text.encode(errors="replace").decode()


def on_one_line(problem: object) -> str:
    """Return the text of an error, such as one of several lines by PostgreSQL, for a sentence."""
    return " ".join(str(problem).split())
