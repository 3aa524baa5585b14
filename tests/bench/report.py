"""The medians as a Markdown table, for the terminal and for docs/benchmarks.md."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from hoody_site import __version__
from tests.bench.contenders import Contender, DaemonApi, Supervisorctl, XmlRpc
from tests.bench.measure import OPERATIONS, Key

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
_BEGIN, _END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"

Medians = dict[Key, float]


def table(medians: Medians) -> str:
    """A row for each operation and contender; in brackets, how many times our median it is."""
    sizes = sizes_of(medians)
    rows = [["median ms", "with programs:", *map(str, sizes), f"growth {sizes[0]} → {sizes[-1]}"]]
    for operation in OPERATIONS:
        for contender in (DaemonApi, XmlRpc, Supervisorctl):
            values = [medians[operation, contender.name, size] for size in sizes]
            own = [medians[operation, DaemonApi.name, size] for size in sizes]
            cells = [f"{value:.1f}" for value in values]
            if contender is not DaemonApi:
                cells = [f"{cell} ({_times(a / b)})" for cell, a, b in zip(cells, values, own, strict=True)]
            rows.append([operation, contender.name, *cells, _times(values[-1] / values[0])])
    return _markdown(rows)


def promises(medians: Medians) -> list[str]:
    """State what the project promises for adding and starting, and whether this run has kept it."""
    first, last = sizes_of(medians)[0], sizes_of(medians)[-1]

    def add(contender: type[Contender], size: int) -> float:
        return medians[OPERATIONS[0], contender.name, size]

    share = add(DaemonApi, last) / add(Supervisorctl, last)
    own, stock = (add(contender, last) / add(contender, first) for contender in (DaemonApi, XmlRpc))
    return [
        f"{_held(share < 1 / 3)}: {OPERATIONS[0]} at {last} programs takes less than a third of "
        f"supervisorctl's time: {share:.2f} of it",
        f"{_held(own < 3)}: it grows less than 3× from {first} to {last} programs: {_times(own)}, "
        f"where stock XML-RPC grows {_times(stock)}",
    ]


def sizes_of(medians: Medians) -> list[int]:
    return sorted({size for _, _, size in medians})


def circumstances(rounds: int, load: float) -> str:
    """Describe the run: when, with which versions, and the load before it. Nothing names the machine."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {rounds} rounds on {os.cpu_count()} CPUs with a load of {load:.1f}: "
        f"this project {__version__}, supervisor {version('supervisor')}, Django {version('django')}, "
        f"gunicorn {version('gunicorn')}, Python {platform.python_version()}."
    )


def write(text: str) -> None:
    """Replace the measurement in the document."""
    before, _, rest = DOCUMENT.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    assert end, f"{DOCUMENT.name} has no place for the table"
    DOCUMENT.write_text(f"{before}{_BEGIN}{text}{_END}{after}")


def _held(yes: bool) -> str:
    return "held" if yes else "NOT HELD"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


def _markdown(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    header, *body = [_line(row, widths) for row in rows]
    # Words to the left, figures to the right
    rule = [f":{'-' * (w - 1)}" if n < 2 else f"{'-' * (w - 1)}:" for n, w in enumerate(widths)]
    return "\n".join([header, f"| {' | '.join(rule)} |", *body]) + "\n"


def _line(row: list[str], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if number < 2 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"| {' | '.join(cells)} |"
