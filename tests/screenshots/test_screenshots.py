"""The pictures and the figures of the README."""

import re

import pytest
from PIL import Image

from tests.screenshots import scene
from tests.stack import PROJECT, Stack

README = (PROJECT / "README.md").read_text()
PICTURES = re.findall(r'(?:srcset|src)="(docs/images/[^"]+)"', README)
BENCHMARKS = (PROJECT / "docs" / "benchmarks.md").read_text()
ROWS = {
    "add and start one": "add + start",
    "list all with status": "list with status",
    "restart one": "restart",
    "stop and remove one": "stop + remove",
    "memory of the daemon": "memory when idle, MB",
}
# A daemon's memory is measured without its command line.
DAEMONS = {"supervisorctl": "supervisord", "pm2, command line": "pm2", "circusctl": "circus"}


@pytest.mark.parametrize("path", PICTURES)
def test_pictures_of_the_readme_are_small(path: str) -> None:
    file = PROJECT / path
    assert file.stat().st_size < 250_000
    with Image.open(file) as picture:
        assert picture.size == (1280, 800)


def test_pictures_come_in_both_modes() -> None:
    assert PICTURES
    names = {path.removesuffix(".png").rpartition("-")[::2] for path in PICTURES}
    assert names == {(name, mode) for name, _ in names for mode in ("light", "dark")}


def test_figures_of_the_readme_are_those_of_the_benchmark() -> None:
    head, *lines = cells(README, r"^\| (?:With 1000 programs|[a-z ]+ one|list all .*|memory of .*) \|.*$")
    assert [line[0] for line in lines] == list(ROWS)
    for name, *figures in lines:
        row = ROWS[name]
        for contender, figure in zip(head[1:], figures, strict=True):
            measured_as = DAEMONS.get(contender, contender) if row.startswith("memory") else contender
            number, unit = figure.strip("*").split()
            assert unit == ("MB" if row.startswith("memory") else "ms")
            assert abs(int(number) - measured(row, measured_as)) <= 0.5, (name, contender)


def test_figures_of_libraries_are_those_of_the_benchmark() -> None:
    told = re.search(r"supervisord (\d+) ms, pm2 (\d+) ms and circus (\d+) ms", README)
    assert told
    for number, contender in zip(
        told.groups(), ("supervisord, XML-RPC", "pm2, JS API", "circus, ZMQ"), strict=True
    ):
        assert abs(int(number) - measured("add + start", contender)) <= 0.5


def measured(row: str, contender: str) -> float:
    """Return the figure with 1000 programs, the sixth cell of its line."""
    (line,) = cells(BENCHMARKS, rf"^\| {re.escape(row)} +\| {re.escape(contender)} +\|.*$")
    return float(line[5].split()[0])


def cells(page: str, pattern: str) -> list[list[str]]:
    """Return the cells of those lines of tables."""
    lines = re.findall(pattern, page, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_scene_has_programs_in_many_states(own_stack: Stack) -> None:
    own_stack.start()
    api = own_stack.api
    with scene.programs(api) as ids:
        api.until(ids["web"], "running")
        api.until(ids["search-index"], "fatal")
        api.until(ids["migrate"], "exited")
        assert api.word(ids["newsletter"]) == "stopped"
        assert len(api.get("quick-start").json()["ephemeral_programs"]) == 2
