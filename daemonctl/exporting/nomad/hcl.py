"""HCL, as far as jobs need it: blocks, attributes and comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_TEMPLATE = re.compile(r"([$%])(?=\{)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class Verbatim(NamedTuple):
    """A text in which Nomad fills in variables: `${NOMAD_PORT_main}`."""

    text: str


class Block(NamedTuple):
    """A block with its labels, and what is in it: attributes and blocks, in their order."""

    kind: str
    labels: tuple[str, ...]
    content: tuple[tuple[str, Any] | Block, ...]


def written(block: Block, comments: Iterable[str] = ()) -> str:
    """Return a file with a block, after comments."""
    lines = [line for text in comments for line in _comment(text)]
    return "\n".join([*lines, *([""] if lines else []), *_block(block)]) + "\n"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), 100, initial_indent="# ", subsequent_indent="#   ", break_long_words=False
    )


def _block(block: Block) -> list[str]:
    lines = [" ".join([block.kind, *map(_text, block.labels), "{"])]
    for each in block.content:
        inner = _block(each) if isinstance(each, Block) else [f"{each[0]} = {_value(each[1])}"]
        lines += [f"  {line}" for part in inner for line in part.split("\n")]
    return [*lines, "}"]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "\n".join(["{", *(f"  {_key(name)} = {_value(each)}" for name, each in value.items()), "}"])
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _quoted(value.text) if isinstance(value, Verbatim) else _text(value)


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    """Return a text in quotes, in which `${` and `%{` are what they are."""
    return _quoted(_TEMPLATE.sub(r"\1\1", text))


def _quoted(text: str) -> str:
    text = "".join(_ESCAPES.get(sign, sign) for sign in text)
    return '"' + _CONTROL.sub(lambda found: "\\u" + format(ord(found[0]), "04x"), text) + '"'
