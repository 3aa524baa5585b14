"""The growth curves, as pictures of a few kilobytes: one for light pages and one for dark ones."""

import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.document import DOCUMENT
from tests.bench.figures import SECTIONS, Figure
from tests.bench.peers import FOLDER
from tests.bench.results import Key, Results
from tests.bench.sides import CHOICES, OURS
from tests.bench.sides.circus import CircusDaemon
from tests.bench.sides.plain import PlainSupervisord
from tests.bench.sides.pm2 import Pm2Daemon

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CURVES = ("add", "list", "stats", "status", "one", "restart", "remove", "boot", "memory")
_COLUMNS = 3


@dataclass(frozen=True)
class Theme:
    text: str
    grid: str
    ours: str
    colors: dict[str, str]  # of the other contenders


def _colors(supervisord: str, pm2: str, circus: str) -> dict[str, str]:
    """Both sides of a daemon have its color."""
    return {
        **dict.fromkeys((PlainSupervisord.name, CHOICES["xmlrpc"], CHOICES["supervisorctl"]), supervisord),
        **dict.fromkeys((Pm2Daemon.name, CHOICES["pm2"], CHOICES["pm2-cli"]), pm2),
        **dict.fromkeys((CircusDaemon.name, CHOICES["circus"], CHOICES["circusctl"]), circus),
    }


THEMES = {
    "light": Theme("#24292f", "#d0d7de", "#0550ae", _colors("#9a6700", "#a40e26", "#1a7f37")),
    "dark": Theme("#e6edf3", "#30363d", "#79c0ff", _colors("#e3b341", "#ff7b72", "#56d364")),
}
# Their curves have the color of their sides, which the legend explains.
_DAEMONS = {PlainSupervisord.name, Pm2Daemon.name, CircusDaemon.name}
# A command line is drawn with dashes.
_DASHED = {CHOICES["supervisorctl"], CHOICES["pm2-cli"], CHOICES["circusctl"]}


def write(results: Results, names: Sequence[str]) -> list[Path]:
    """Write a picture for each theme beside the document."""
    return [_draw(results, names, theme, picture(name)) for name, theme in THEMES.items()]


def markup() -> str:
    """What shows the pictures in the document, each on pages of its theme."""
    return (
        "<picture>\n"
        f'  <source media="(prefers-color-scheme: dark)" srcset="{picture("dark").name}">\n'
        f'  <img alt="How contenders grow with the number of programs" src="{picture("light").name}">\n'
        "</picture>"
    )


def picture(theme: str) -> Path:
    return DOCUMENT.with_name(f"benchmarks-{theme}.svg")


def _draw(results: Results, names: Sequence[str], theme: Theme, file: Path) -> Path:
    os.environ.setdefault("MPLCONFIGDIR", str(FOLDER / "matplotlib"))  # its cache of fonts
    import matplotlib as mpl
    from matplotlib.figure import Figure as Drawing

    figures = {figure.key: figure for section in SECTIONS.values() for figure in section}
    drawn = [figures[key] for key in _CURVES if results.measured(key)]
    lines = -(-len(drawn) // _COLUMNS)
    # Text stays text, and the same values give the same file.
    with mpl.rc_context(_style(theme)):
        drawing = Drawing(figsize=(10, 2.3 * lines + 0.6), layout="constrained")
        grid: Any = drawing.subplots(lines, _COLUMNS, squeeze=False)
        legend: dict[str, Any] = {}
        for number, axes in enumerate(grid.flat):
            if number < len(drawn):
                legend.update(_curves(axes, results, drawn[number], names, theme))
            else:
                axes.set_axis_off()
        sides = [name for name in names if name in legend and name not in _DAEMONS]
        drawing.legend(
            [legend[name] for name in sides], sides, loc="outside lower center", ncols=4, frameon=False
        )
        drawing.savefig(text := io.StringIO(), format="svg", transparent=True, metadata={"Date": None})
    file.write_text(_smaller(text.getvalue()))
    return file


def _smaller(svg: str) -> str:
    """A tenth of a pixel is exact enough, and the indentation is of no use."""
    shorter = re.sub(r"(\d\.\d)\d+", r"\1", svg)
    return re.sub(r"\n *", "\n", shorter)


def _style(theme: Theme) -> Any:
    text = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(text, theme.text),
        "axes.edgecolor": theme.grid,
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 10,
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8,
        "grid.color": theme.grid,
        "grid.linewidth": 0.5,
        "svg.fonttype": "none",
        "svg.hashsalt": "benchmarks",
    }


def _curves(
    axes: "Axes", results: Results, figure: Figure, names: Sequence[str], theme: Theme
) -> dict[str, Any]:
    """Draw a curve for each contender; return those that were drawn, by name."""
    unit = "" if "," in figure.title else ", ms"
    axes.set_title(f"{figure.title}{unit}", loc="left")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.tick_params(left=False, bottom=False)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(results.sizes())
    drawn = {}
    for name in names:
        values = {size: results.median(Key(figure.key, name, size)) for size in results.sizes()}
        points = {size: value for size, value in values.items() if value}
        if points:
            (drawn[name],) = axes.plot(
                list(points),
                list(points.values()),
                color=theme.colors.get(name, theme.ours),
                linestyle="--" if name in _DASHED else "-",
                linewidth=2.5 if name == OURS else 1.3,
                marker="o",
                markersize=3,
                zorder=3 if name == OURS else 2,
            )
    return drawn
