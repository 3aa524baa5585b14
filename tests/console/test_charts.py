"""The charts of usage: what they draw, and what they say in words."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.admin_client import PROGRAMS
from tests.console.chromium import open_page
from tests.stack import Api, Stack
from tests.temporary_programs import Quick

# Where a canvas has strong colours, how wide the widest gap between them is, and their most frequent.
DRAWN = """canvas => {
    const {data, width, height} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const columns = new Set(), colors = {};
    for (let at = 0; at < data.length; at += 4) {
        const [red, green, blue, alpha] = data.slice(at, at + 4);
        if (alpha < 250 || Math.max(red, green, blue) - Math.min(red, green, blue) < 60) continue;
        columns.add((at / 4) % width);
        const color = `${red},${green},${blue}`;
        colors[color] = (colors[color] ?? 0) + 1;
    }
    const most = Object.keys(colors).sort((one, other) => colors[other] - colors[one])[0];
    const sorted = [...columns].sort((one, other) => one - other);
    const gap = Math.max(...sorted.map((x, index) => index ? x - sorted[index - 1] : 0));
    return {color: most, share: (sorted.at(-1) - sorted[0]) / width, gap: gap / width};
}"""


def answer(seconds: int, values: list[float | None]) -> dict[str, Any]:
    step = seconds / len(values)
    times = [time.time() - step * (len(values) - index) for index in range(len(values))]
    memory = [None if value is None else 64 * 2**20 + 100 * value for value in values]
    return {"seconds": seconds, "columns": [times, values, memory]}


@pytest.fixture
def asked(page: Page) -> list[str]:
    """The spans that the page has asked for; it is told of an hour with a long gap, and of a busy day."""
    spans: list[str] = []

    def tell(route: Route) -> None:
        spans.extend(parse_qs(urlsplit(route.request.url).query)["span"])
        hour = [*[10.0] * 120, *[None] * 120, *[50.0] * 119, 25.0]
        told = answer(3600, hour) if spans[-1] == "hour" else answer(86400, [100.0] * 1439 + [250.0])
        route.fulfill(content_type="application/json", body=json.dumps(told))

    page.route("**/usage/?span=*", tell)
    return spans


def chart_of(page: Page) -> Locator:
    chart = page.locator(".usage-chart")
    expect(chart.locator("canvas")).to_have_count(2)
    return chart


def drawn(chart: Locator, index: int, check: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """What a canvas shows, once that is as it should be."""
    for _ in range(100):
        found: dict[str, Any] = chart.locator("canvas").nth(index).evaluate(DRAWN)
        if found.get("color") and check(found):
            return found
        chart.page.wait_for_timeout(50)
    raise AssertionError(f"the chart is {found}")


def test_chart_shows_gaps_switches_its_span_and_says_so_in_words(
    page: Page, api: Api, asked: list[str]
) -> None:
    id = api.add()
    page.goto(f"/admin/{PROGRAMS}{id}/change/")
    chart = chart_of(page)
    expect(chart.locator("figcaption")).to_have_text(
        "CPU 25 %, memory 64.0 MB; at most 50 % and 64.0 MB in the last hour."
    )
    for index in range(2):
        assert drawn(chart, index, lambda found: found["gap"] > 0.2)["share"] > 0.5
    chart.get_by_role("button", name="Last day").click()
    expect(chart.locator("figcaption")).to_have_text(
        "CPU 250 %, memory 64.0 MB; at most 250 % and 64.0 MB in the last day."
    )
    expect(chart.get_by_role("button", name="Last day")).to_have_attribute("aria-pressed", "true")
    expect(chart.get_by_role("button", name="Last hour")).to_have_attribute("aria-pressed", "false")
    drawn(chart, 0, lambda found: found["gap"] < 0.1)
    assert asked[0] == "hour"
    assert asked[-1] == "day"
    # One cursor for both charts, read in words.
    over = chart.locator(".u-over").first
    over.hover(position={"x": 150, "y": 20})
    expect(chart.locator(".usage-at")).to_contain_text("CPU 100 %, memory 64.0 MB")


def test_chart_follows_the_theme_and_the_width(page: Page, api: Api, asked: list[str]) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(f"/admin/{PROGRAMS}{api.add()}/change/")
    chart = chart_of(page)
    drawn(chart, 0, lambda found: found["color"] == "31,95,148")
    page.emulate_media(color_scheme="dark")
    drawn(chart, 0, lambda found: found["color"] == "124,188,240")
    for _ in range(3):  # the admin's own switch: auto, light, dark
        page.locator(".theme-toggle:visible").first.click()
        if page.locator("html").get_attribute("data-theme") == "light":
            break
    drawn(chart, 0, lambda found: found["color"] == "31,95,148")
    page.set_viewport_size({"width": 390, "height": 800})
    for _ in range(100):
        widths = chart.evaluate(
            "e => [e.clientWidth, ...[...e.querySelectorAll('.uplot')].map(u => u.clientWidth)]"
        )
        if max(widths[1:]) <= widths[0]:
            break
        page.wait_for_timeout(50)
    assert 200 < max(widths[1:]) <= widths[0] < 390


def test_temporary_program_has_a_chart_for_viewers_too(
    browser: Browser, staffed: Stack, quick: Quick
) -> None:
    id = quick.run("sleep 1000")
    with open_page(browser, staffed, "viewer") as page:
        page.goto("/admin/quick_start/ephemeralprogram/")
        page.click(f"text={quick.status(id)['name']}")
        expect(page.locator(".usage-chart figcaption")).not_to_be_empty()
