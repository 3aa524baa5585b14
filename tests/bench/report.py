"""The medians as Markdown tables, for the terminal and for docs/benchmarks.md."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from hoody_daemon import __version__
from tests.bench.figures import FLOORS, OPERATIONS, SECTIONS, Figure
from tests.bench.floors import STEPS
from tests.bench.markdown import table
from tests.bench.peers import VERSIONS
from tests.bench.processes import LIMIT_SECONDS
from tests.bench.results import Key, Results
from tests.bench.rounds import FLOOR
from tests.bench.sides import BEFORE, CHOICES, OURS


def tables(results: Results, names: Sequence[str]) -> list[str]:
    """A table for each section that was measured, under its title, and the sentences about what failed."""
    found = []
    for section, figures in SECTIONS.items():
        rows = _floors(results) if section == FLOORS else _rows(results, figures, names)
        if rows:
            found.append(f"### {section}\n\n{table(_header(results), rows)}".rstrip())
    return [*found, *_failures(results)]


def _header(results: Results) -> list[str]:
    sizes = results.sizes()
    return [
        "",
        "programs:",
        *map(str, sizes),
        *([f"growth {sizes[0]} → {sizes[-1]}"] if len(sizes) > 1 else []),
    ]


def _rows(results: Results, figures: Sequence[Figure], names: Sequence[str]) -> list[list[str]]:
    return [
        _row(results, figure, name)
        for figure in figures
        for name in names
        if name in results.names([figure.key])
    ]


def _row(results: Results, figure: Figure, name: str) -> list[str]:
    """The medians; in brackets, how many times ours they are."""
    sizes = results.sizes()
    cells = []
    for size in sizes:
        key = Key(figure.key, name, size)
        cell = _value(results, key, figure.digits)
        ratio = results.ratio(key, Key(figure.key, OURS, size)) if name != OURS else None
        cells.append(f"{cell} ({times(ratio)})" if ratio is not None else cell)
    return [figure.title, name, *cells, *_growth(results, figure.key, name)]


def _value(results: Results, key: Key, digits: int) -> str:
    if key in results.failures:
        is_late = results.failures[key].startswith("Timeout")  # of Python, or of its subprocess
        return f"> {LIMIT_SECONDS:.0f} s" if is_late else "failed"
    value = results.median(key)
    return "–" if value is None else f"{value:.{digits}f}"


def _growth(results: Results, row: str, name: str) -> list[str]:
    """The cell of the last column, which is there if there is more than one size."""
    first, last = results.sizes()[0], results.sizes()[-1]
    ratio = results.ratio(Key(row, name, last), Key(row, name, first))
    return [] if first == last else ["–" if ratio is None else times(ratio)]


def _floors(results: Results) -> list[list[str]]:
    """The floors, then how many times its floor each operation of ours takes."""
    rows = _rows(results, SECTIONS[FLOORS], [FLOOR])
    if not rows:
        return []
    blank = [""] * (len(rows[0]) - 2 - len(results.sizes()))
    for figure in SECTIONS[OPERATIONS]:
        ratios = [over_floor(results, figure.key, size) for size in results.sizes()]
        if any(ratios):
            cells = ["–" if ratio is None else times(ratio) for ratio in ratios]
            rows.append([f"{figure.title}: {_steps(figure.key)}", "× its floor", *cells, *blank])
    return rows


def over_floor(results: Results, row: str, size: int) -> float | None:
    """Return how many times the sum of its steps an operation of ours takes."""
    ours = results.median(Key(row, OURS, size))
    floor = 0.0
    for step, number in STEPS.get(row, {}).items():
        one = results.median(Key(step, FLOOR, size))
        if one is None:
            return None
        floor += number * one
    return ours / floor if ours is not None and floor else None


def _steps(row: str) -> str:
    return " + ".join(f"{number} {step}" if number > 1 else step for step, number in STEPS[row].items())


def _failures(results: Results) -> list[str]:
    titles = {figure.key: figure.title for figures in SECTIONS.values() for figure in figures}
    lines = [
        f"- {key.contender}, {titles.get(key.row, key.row)}, {key.size} programs: {_in_one_line(reason)}"
        for key, reason in sorted(results.failures.items())
    ]
    return ["\n".join(["Failed, and therefore without ratios:", "", *lines])] if lines else []


def _in_one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def promises(results: Results) -> list[str]:
    """State what the project promises for adding and starting, and whether this run has kept it."""
    sizes = results.sizes()
    if not sizes:
        return []
    first, last = sizes[0], sizes[-1]

    def add(name: str, size: int) -> Key:
        return Key("add", name, size)

    found = []
    share = results.ratio(add(OURS, last), add(CHOICES["supervisorctl"], last))
    if share is not None:
        found.append(
            f"{_held(share < 1 / 3)}: add + start at {last} programs takes less than a third of "
            f"supervisorctl's time: {share:.2f} of it"
        )
    growth = results.ratio(add(OURS, last), add(OURS, first))
    if growth is not None and first != last:
        found.append(
            f"{_held(growth < 3)}: add + start grows less than 3× from {first} to {last} programs: "
            f"{times(growth)}"
        )
    for row in ("add", "list", "boot"):
        ratio = results.ratio(Key(row, OURS, last), Key(row, BEFORE, last))
        if ratio is not None:
            found.append(
                f"{_held(ratio < 1.1)}: {row} at {last} programs takes less than 1.1× as before: {ratio:.2f}×"
            )
    return found


def circumstances(results: Results, rounds: int, load: float) -> str:
    """Describe the run: when, with which versions, and the load before it. Nothing names the machine."""
    contenders = " ".join(key.contender for key in results.values)
    versions = [
        f"this project {__version__}",
        f"supervisor {version('supervisor')}",
        *(peer for name, peer in VERSIONS.items() if name in contenders),
        f"Django {version('django')}",
        f"gunicorn {version('gunicorn')}",
        f"Python {platform.python_version()}",
    ]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, up to {rounds} rounds on {os.cpu_count()} CPUs "
        f"with a load of {load:.1f}: {', '.join(versions)}."
    )


def _held(yes: bool) -> str:
    return "held" if yes else "NOT HELD"


def times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×" if ratio >= 0.1 else f"{ratio:.2f}×"
