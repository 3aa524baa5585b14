"""Markdown tables whose columns are aligned in the text too."""

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Words to the left, in the first two columns; figures to the right."""
    lines = [header, *rows]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = [f":{'-' * (w - 1)}" if n < 2 else f"{'-' * (w - 1)}:" for n, w in enumerate(widths)]
    first, *others = [_line(line, widths) for line in lines]
    return "\n".join([first, f"| {' | '.join(rule)} |", *others])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if number < 2 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"| {' | '.join(cells)} |"
