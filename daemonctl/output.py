"""What people and scripts read: tables, colours, documents."""

import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

import click

STATE_COLORS = {
    "running": "green",
    "starting": "cyan",
    "stopping": "cyan",
    "backoff": "yellow",
    "fatal": "red",
    "unknown": "magenta",
    "exited": "bright_black",
    "stopped": "bright_black",
    "disabled": "bright_black",
    # of hosts
    "current": "green",
    "new": "cyan",
    "lost": "red",
    "refused": "red",
}
_NAMES = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta")


def is_colored() -> bool:
    """Return whether standard output may have colours: a terminal, unless `NO_COLOR` says otherwise."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, color: str | None) -> str:
    """Return a text in a colour, if standard output has colours."""
    return click.style(text, fg=color) if color and is_colored() else text


def color_of(number: int) -> str:
    """Return the colour of the program with this position in a selection."""
    return _NAMES[number % len(_NAMES)]


def document(value: Any, form: str) -> str:
    """Return a value as JSON or YAML, without a line break at its end."""
    if form == "yaml":
        import yaml

        text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
        return text.rstrip("\n")
    return json.dumps(value, indent=2, ensure_ascii=False)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, state: int) -> str:
    """Return rows as aligned columns, of which one shows states, in colours."""
    widths = [max(map(width, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        cells = [pad(cell, columns) for cell, columns in zip(row, widths, strict=True)]
        cells[state] = paint(cells[state], STATE_COLORS.get(row[state].partition(" ")[0]))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def pad(text: str, columns: int) -> str:
    """Return a text that is filled up to a number of columns."""
    return text + " " * (columns - width(text))


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.combining(sign) != 0 for sign in text)


def size(number: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
