"""``presentation.sparklines``: the last minutes as a line whose right edge is now."""

import re
from xml.etree import ElementTree

from daemon_programs.admin.presentation.sparklines import sparkline


def points(values: list[float | None]) -> list[tuple[str, int, float]]:
    """The commands of the line with their coordinates."""
    (path,) = ElementTree.fromstring(sparkline(values))
    found = re.findall(r"([ML])(\d+) ([\d.]+)", path.attrib["d"])
    return [(command, int(x), float(y)) for command, x, y in found]


def test_line_ends_at_the_right_edge_and_is_twenty_percent_high() -> None:
    assert points([0.0, 10.0, 20.0]) == [("M", 57, 15.0), ("L", 58, 8.0), ("L", 59, 1.0)]


def test_highest_value_is_at_the_top() -> None:
    assert points([400.0, 200.0]) == [("M", 58, 1.0), ("L", 59, 8.0)]


def test_gap_interrupts_the_line() -> None:
    assert [each[:2] for each in points([1.0, None, None, 1.0, 1.0])] == [("M", 55), ("M", 58), ("L", 59)]


def test_only_the_last_sixty_values_are_drawn() -> None:
    assert [x for _, x, _ in points([1.0] * 70)] == list(range(60))


def test_without_values_there_is_no_picture() -> None:
    assert sparkline([]) == sparkline([None, None]) == ""


def test_picture_is_hidden_from_screen_readers_and_has_no_styles() -> None:
    image = ElementTree.fromstring(sparkline([1.0]))
    assert image.attrib["aria-hidden"] == "true"
    assert "style" not in sparkline([1.0])
