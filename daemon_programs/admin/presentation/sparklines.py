"""Sparklines: the CPU of the last minutes as a tiny picture, for lists."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

_WIDTH, _HEIGHT = 60, 16  # a value a pixel: `samples.sparkline` has at most 60
_MARGIN = 1  # for the line's own width
_LEAST_HEIGHT_PERCENT = 20.0  # or what hardly moves would look busy


def sparkline(values: Sequence[float | None]) -> SafeString:
    """Return a line of percentages, oldest first, as an inline SVG; nothing without any value.

    It ends at the right edge, so that lines below each other are of the same time. Its height is 20 percent,
    or the highest value if that is more. None is a gap. It is hidden from screen readers: the figure belongs
    beside it, as text.
    """
    path = _path(values[-_WIDTH:])
    if not path:
        return SafeString()
    return format_html(
        '<svg class="sparkline" width="{}" height="{}" viewBox="0 0 {} {}" aria-hidden="true">'
        '<path d="{}" fill="none" stroke="currentColor" stroke-width="1" stroke-linecap="round"/></svg>',
        *(_WIDTH, _HEIGHT, _WIDTH, _HEIGHT),
        path,
    )


def _path(values: Sequence[float | None]) -> str:
    """Return the commands of the line; a value between gaps is a point."""
    highest = max([_LEAST_HEIGHT_PERCENT, *(value for value in values if value is not None)])
    left = _WIDTH - len(values)
    commands, is_drawing = [], False
    for x, value in enumerate(values, left):
        if value is not None:
            y = _HEIGHT - _MARGIN - value / highest * (_HEIGHT - 2 * _MARGIN)
            commands.append(f"L{x} {y:.1f}" if is_drawing else f"M{x} {y:.1f}h0")
        is_drawing = value is not None
    return "".join(commands)
