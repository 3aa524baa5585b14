"""JSON as HTML: marked up as far as that is cheap, and with links to what its ids name."""

import json
import re
from collections.abc import Callable

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

# A browser takes long to lay out a page of many elements.
MAX_MARKED_CHARACTERS = 100_000

# A text without an end is one token too: looking for its end from each of its quotes would take minutes.
_TOKEN = re.compile(
    r"""
    (?P<text>"(?:[^"\\]|\\.?)*+"?)
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<word>true|false|null)
    """,
    re.VERBOSE | re.DOTALL,
)
# Indented JSON has one member a line, and no line break within a text.
_ID = re.compile(r'^ *"(\w+)": (\d{1,18}|"\w+"),?$', re.MULTILINE)

AddressOf = Callable[[str, int | str], str | None]


def json_html(content: str, address_of: AddressOf | None = None) -> SafeString:
    """Return indented JSON as HTML.

    ``address_of`` returns for a key and its value, an integer or a word, the address that they name, if any.
    """
    mark = _marked if len(content) <= MAX_MARKED_CHARACTERS else escape
    if address_of is None:
        return mark_safe(mark(content))  # noqa: S308  (its parts are escaped)
    parts: list[str] = []
    end = 0
    for match in _ID.finditer(content):
        if address := address_of(match[1], json.loads(match[2])):
            start, stop = match.span(2)
            parts += [mark(content[end:start]), f'<a href="{escape(address)}">{escape(match[2])}</a>']
            end = stop
    return mark_safe("".join([*parts, mark(content[end:])]))  # noqa: S308


def _marked(content: str) -> str:
    parts: list[str] = []
    end = 0
    for match in _TOKEN.finditer(content):
        kind = "key" if content.startswith(": ", match.end()) else match.lastgroup
        parts += [
            escape(content[end : match.start()]),
            f'<span class="json-{kind}">{escape(match[0])}</span>',
        ]
        end = match.end()
    return "".join([*parts, escape(content[end:])])
