"""The log viewer in a real browser: nothing is missed, shown twice or written again, however much."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.admin_client import PROGRAMS
from tests.console.chromium import open_page
from tests.drills import ROUNDS
from tests.processes import shell
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import Quick

MANY = 100_000 if ROUNDS > 1 else 30_000
# Of a task, in CPU time: how long it lasts depends on what else this host does. Beside busy neighbours even
# that doubles.
MOST_MILLISECONDS = 50 if ROUNDS > 1 else 100


@pytest.fixture
def id(api: Api) -> int:
    """A program whose logs the test writes."""
    return api.add(shell("echo first; exec sleep 1000"), boot=True)


def log_of(api: Api, id: int, stream: str = "stdout") -> Path:
    eventually(lambda: api.logs(id) != "", what="the program has written")
    return Path(api.get(f"programs/{id}").json()["program"][f"{stream}_logfile"])


def open_log(page: Page, id: int, query: str = "") -> Locator:
    """Open the page of a log, and return the box of its lines."""
    page.goto(f"/admin/{PROGRAMS}{id}/log/{query}")
    expect(page.locator(".log-state")).to_have_text("live")
    box = page.locator(".log-box")
    expect(box).to_be_visible()
    return box


def append(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def is_at_end(box: Locator) -> bool:
    return bool(box.evaluate("e => e.scrollHeight - e.clientHeight - e.scrollTop <= 2"))


def test_log_opens_at_its_newest_lines(page: Page, api: Api) -> None:
    id = api.add("sh -c 'seq 1 2000; exec sleep 1000'", boot=True)
    eventually(lambda: api.logs(id).endswith("2000"))
    box = open_log(page, id)
    expect(box.locator(".log-line").last).to_have_text("2000")
    eventually(lambda: is_at_end(box))
    expect(box.locator(".log-line").first).to_have_text("1001")
    box.evaluate("e => { e.scrollTop = 0 }")
    expect(box.locator(".log-line").first).to_have_text("1")
    assert box.evaluate("e => e.scrollTop") > 100, "what was at the top is still looked at"
    numbers = box.locator(".log-line").all_text_contents()
    assert numbers == [str(number) for number in range(1, 2001)]


def test_log_goes_on_within_the_page_of_its_program(page: Page, api: Api, id: int) -> None:
    nasty = "<img src=x onerror=alert(1)> 🚀 שלום \u202eturned"
    log = log_of(api, id)
    page.goto(f"/admin/{PROGRAMS}{id}/change/")
    box = page.locator(".log-box")
    expect(page.locator(".log-state")).to_have_text("live")
    append(log, f"\x1b[31m{nasty}\x1b[0m\x1b]0;title\x07", "10 %\r50 %\r100 %", "\x01bell\x1b")
    lines = box.locator(".log-line")
    expect(lines).to_have_text(["first", nasty, "100 %", "␁bell␛"])
    expect(lines.nth(1).locator(".ansi-red-fg")).to_have_text(nasty)
    assert lines.nth(1).evaluate("e => getComputedStyle(e).unicodeBidi") == "plaintext"
    append(log_of(api, id, "stderr"), "an error")
    expect(box.locator(".from-stderr")).to_have_text("an error")
    content = "e => getComputedStyle(e, '::before').content"
    assert box.locator(".from-stderr").evaluate(content) == '"err"', "not by its colour alone"
    page.select_option("select[name=log-stream]", "stderr")
    expect(lines).to_have_text(["an error"])


def test_selection_and_place_stay_while_lines_come(page: Page, api: Api, id: int) -> None:
    log = log_of(api, id)
    append(log, *(f"line {number}" for number in range(300)))
    box = open_log(page, id)
    expect(box.locator(".log-line").last).to_have_text("line 299")
    box.evaluate("e => getSelection().selectAllChildren(e.querySelectorAll('.log-line')[150])")
    box.evaluate("e => { e.scrollTop = 1000 }")
    newer = page.locator(".log-newer")
    expect(newer).to_have_text("To the end ↓")
    place = box.evaluate("e => e.querySelectorAll('.log-line')[60].getBoundingClientRect().top")
    append(log, *(f"more {number}" for number in range(500)))
    expect(newer).to_have_text("500 new lines ↓")
    assert page.evaluate("getSelection().toString()").strip() == "line 149"
    assert box.evaluate("e => e.querySelectorAll('.log-line')[60].getBoundingClientRect().top") == place
    newer.click()
    expect(newer).to_be_hidden()
    eventually(lambda: is_at_end(box))
    page.keyboard.press("p")
    expect(page.locator(".log-state")).to_have_text("paused")
    append(log, "while it was paused")
    page.wait_for_timeout(300)
    expect(box).not_to_contain_text("while it was paused")
    page.keyboard.press("p")
    expect(box.locator(".log-line").last).to_have_text("while it was paused")
    eventually(lambda: is_at_end(box))


def test_lines_are_found_filtered_and_wrapped(page: Page, api: Api, id: int) -> None:
    append(log_of(api, id), *(f"line {number}" for number in range(300)), "a (b" + "x" * 500)
    box = open_log(page, id)
    page.keyboard.press("/")
    page.keyboard.type("LINE 29")
    count = page.locator(".log-count")
    expect(count).to_have_text("11 lines")
    page.keyboard.press("Enter")
    expect(count).to_have_text("11 of 11")
    page.keyboard.press("Shift+Enter")
    expect(count).to_have_text("10 of 11")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(count).to_have_text("1 of 11")
    expect(box.locator(".log-line", has_text="line 29").first).to_be_in_viewport()
    eventually(lambda: page.evaluate("CSS.highlights.get('log-match-current').size") == 1)
    page.get_by_role("button", name="Only matches").click()
    shown = box.locator(".log-line:visible")
    expect(shown).to_have_count(11)
    append(log_of(api, id), "no match", "line 29 again")
    expect(shown).to_have_count(12)
    page.fill(".log-search", "(b")
    expect(shown).to_have_count(1)
    page.fill(".log-search", "")
    expect(shown).to_have_count(304)
    page.locator(".log-search").press("Escape")
    expect(box).to_be_focused()
    page.keyboard.press("w")
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "false")
    assert box.evaluate("e => e.scrollWidth > e.clientWidth")
    page.get_by_role("button", name="Clear").click()
    expect(shown).to_have_count(0)
    page.get_by_role("button", name="Earlier lines").click()
    expect(shown).to_have_count(304)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download stdout").click()
    assert Path(download.value.path()).read_text().startswith("first\nline 0\n")


def test_both_streams_are_merged_by_time(page: Page, api: Api) -> None:
    script = "for i in 1 2 3; do echo out $i; sleep 0.5; echo err $i >&2; sleep 0.5; done; exec sleep 1000"
    id = api.add(shell(script), boot=True, log_timestamps=True)
    eventually(lambda: "err 3" in api.logs(id, type="stderr"))
    box = open_log(page, id)
    lines = box.locator(".log-line")
    expect(lines).to_have_count(6)
    words = [text.partition(" ")[2] for text in lines.all_text_contents()]
    assert words == ["out 1", "err 1", "out 2", "err 2", "out 3", "err 3"]
    log = log_of(api, id)
    append(log, *(f"2030-01-01T00:00:{second:02}.000Z tick" for second in range(60)))
    append(log, *(f"2030-01-01T00:01:{second:02}.000Z tick" for second in range(60)))
    expect(lines).to_have_count(126)
    page.fill("input[name=log-time]", "2030-01-01T00:00:30")
    expect(box.locator(".log-line", has_text="00:00:30")).to_be_in_viewport()


def test_hidden_page_gives_up_its_connections_and_misses_nothing(page: Page, api: Api, id: int) -> None:
    log = log_of(api, id)
    box = open_log(page, id)
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    page.evaluate(hide, True)
    expect(page.locator(".log-state")).to_have_text("")
    append(log, "one", "two")
    log.rename(log.with_name("stdout.log.1"))
    log.write_text("three\n")
    page.evaluate(hide, False)
    expect(box.locator(".log-line")).to_have_text(["first", "one", "two", "three"])
    expect(box.locator(".log-note")).to_have_text("stdout: the log was rotated")
    log.write_text("")
    expect(box.locator(".log-note").last).to_contain_text("the log was emptied, lines may be missing here")


def test_log_of_a_temporary_program_goes_on_to_its_end(page: Page, quick: Quick) -> None:
    id = quick.run(shell("echo first; exec sleep 1000"))
    eventually(lambda: quick.logs(id) == "first")
    page.goto("/admin/quick_start/ephemeralprogram/")
    page.click(f"text={quick.status(id)['name']}")
    expect(page.locator(".log-state")).to_have_text("live")
    page.click("text=Open log")
    expect(page.locator(".log-state")).to_have_text("live")
    quick.stop(id)
    expect(page.locator(".log-state")).to_have_text("ended: stopped")
    expect(page.locator(".log-line")).to_have_text(["first"])


def test_very_many_lines_and_a_flood_keep_the_page_usable(
    browser: Browser, page: Page, api: Api, id: int
) -> None:
    log = log_of(api, id)
    box = open_log(page, id, "?stream=stdout")
    browser.start_tracing(page=page, categories=["toplevel"])
    append(log, *(f"line {number} with some words" for number in range(MANY)))
    # Not by a locator, which looks at each element and so costs the page more than all that it does itself.
    last = "document.querySelector('.log-lines').lastElementChild.lastElementChild.textContent"
    eventually(
        lambda: page.evaluate(last) == f"line {MANY - 1} with some words", 60, what="all lines are shown"
    )
    longest = longest_task(browser.stop_tracing())
    assert longest < MOST_MILLISECONDS
    assert box.locator(".log-line").count() <= MANY + 200
    assert is_at_end(box)

    id = api.add(shell("while :; do seq 1 100; sleep 0.1; done"), boot=True)
    box = open_log(page, id, "?stream=stdout")
    eventually(lambda: box.locator(".log-line").count() > 1500)
    answered = page.evaluate("""async () => {
        const frames = [];
        for (let turn = 0; turn < 20; turn += 1) {
            const begun = performance.now();
            document.querySelector("button[name=wrap]").click();
            await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
            frames.push(performance.now() - begun);
        }
        return frames.sort((one, other) => one - other)[10];
    }""")
    assert answered < 200, "from a click to what it has changed"


def longest_task(trace: bytes) -> float:
    """Return the CPU time of the longest task of a page's main thread, in milliseconds."""
    events: list[dict[str, Any]] = json.loads(trace)["traceEvents"]
    names = {
        (each["pid"], each["tid"]) for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }  # fmt: skip
    tasks = [each["tdur"] for each in events if (each["pid"], each["tid"]) in names and "tdur" in each]
    assert len(tasks) > 100, "tasks were measured"
    return max(tasks) / 1000


def test_log_without_scripts_shows_its_last_lines(
    browser: Browser, staffed: Stack, api: Api, id: int
) -> None:
    append(log_of(api, id), "<b>second</b>")
    with open_page(browser, staffed, "viewer", java_script_enabled=False) as page:
        page.goto(f"/admin/{PROGRAMS}{id}/log/")
        expect(page.locator(".log-stdout pre")).to_have_text("first\n<b>second</b>")
        page.click("noscript a:has-text('stderr')")
        expect(page.locator(".log-stdout")).to_be_hidden()
        expect(page.locator(".log-stderr")).to_contain_text("Nothing yet.")
