"""The list of programs in a real browser: live rows and counts, verbs, many programs at once, shortcuts."""

import os
import re
import signal

from playwright.sync_api import Browser, Locator, Page, expect

from tests.admin_client import PROGRAMS
from tests.console.chromium import open_page
from tests.processes import started
from tests.stack import Api, Stack, eventually

LIST = f"/admin/{PROGRAMS}"
PHONE = {"width": 390, "height": 844}
SOON = 3000  # milliseconds: a change is shown by itself, not by the look at the usage every ten seconds


def row(page: Page, id: int) -> Locator:
    return page.locator(f"#result_list tr[data-key='{id}']")


def state(page: Page, id: int) -> Locator:
    return row(page, id).locator(".field-state .state")


def count(page: Page, word: str) -> Locator:
    return page.locator(f".state-filter li[data-key='{word}'] .count")


def choose(page: Page, action: str, *ids: int) -> None:
    for id in ids:
        row(page, id).locator("input.action-select").check()
    page.select_option("select[name=action]", action)
    page.get_by_role("button", name="Go").click()


def test_crash_is_seen_in_row_counts_and_title_without_a_reload(page: Page, api: Api) -> None:
    id, other = api.add(name="crashes", autorestart="false"), api.add(name="stays")
    pid = started(api, id)
    page.goto(f"{LIST}?q=crashes")
    expect(state(page, id)).to_have_text("running")
    expect(row(page, id).locator("time.since")).to_be_visible()
    expect(page).not_to_have_title(re.compile(r"^\("))
    row(page, id).locator("input.action-select").check()
    page.focus(f"#result_list tr[data-key='{id}'] .row-link")
    page.evaluate("window.isSamePage = true")

    os.kill(pid, signal.SIGKILL)
    expect(state(page, id)).to_have_text("exited", timeout=SOON)
    expect(state(page, id)).to_have_class(re.compile("severity-bad"))
    expect(row(page, id)).to_contain_text("SIGKILL")
    expect(count(page, "failed")).to_have_text("1")
    expect(count(page, "running")).to_have_count(0)
    expect(page).to_have_title("(1) Programs | Daemon API")
    expect(page.locator(".order-changed")).to_be_visible()
    # What the user has done to the row stays.
    expect(row(page, id).locator("input.action-select")).to_be_checked()
    expect(row(page, id).locator(".row-link")).to_be_focused()
    assert page.evaluate("window.isSamePage")

    page.click("text=sort again")
    expect(page.locator(".order-changed")).to_be_hidden()
    api.ok(f"programs/remove/{id}")
    expect(row(page, other)).to_have_count(0)  # another search


def test_buttons_of_a_row_fit_its_state_and_need_no_reload(page: Page, api: Api) -> None:
    id = api.add(name="web")
    page.goto(LIST)
    page.evaluate("window.isSamePage = true")
    row(page, id).get_by_role("button", name="Start web", exact=True).click()
    expect(state(page, id)).to_have_text("running")
    expect(page.locator(".messagelist")).to_contain_text("1 started")
    expect(row(page, id).get_by_role("button", name="Start web", exact=True)).to_have_count(0)
    pid = api.pid(id)
    row(page, id).get_by_role("button", name="Restart web").click()
    expect(page.locator(".messagelist")).to_contain_text("1 restarted")
    eventually(lambda: api.word(id) == "running" and api.pid(id) != pid)
    row(page, id).get_by_role("button", name="Stop web").click()
    expect(state(page, id)).to_have_text("stopped")
    assert page.evaluate("window.isSamePage")
    row(page, id).get_by_role("link", name="Log of web").click()
    expect(page).to_have_url(re.compile(rf"/{id}/"))


def test_many_are_started_with_one_summary_and_folded_details(page: Page, api: Api) -> None:
    stopped = [api.add(name=f"one of many {number}") for number in range(30)]
    running, off = api.add(name="one of many, up"), api.add(name="one of many, off", enabled=False)
    pid = started(api, running)
    page.goto(f"{LIST}?q=one+of+many")
    page.check("#action-toggle")
    page.select_option("select[name=action]", "start")
    page.get_by_role("button", name="Go").click()
    said = page.locator(".messagelist li.success")
    expect(said.locator(".batch-summary")).to_have_text("30 started, 1 ran already, 1 skipped: disabled")
    expect(page.locator(".messagelist > li")).to_have_count(1)
    expect(said.get_by_text("one of many, off")).to_be_hidden()
    said.locator("summary").click()
    expect(said.get_by_text("one of many, off")).to_be_visible()
    expect(said).to_contain_text("and 10 more")
    expect(page.locator(".batch")).to_be_hidden()
    expect(page.locator("input.action-select:checked")).to_have_count(0)
    expect(count(page, "running")).to_have_text("31", timeout=15_000)
    assert api.pid(running) == pid
    assert {api.word(id) for id in stopped} <= {"starting", "running"}
    assert api.word(off) == "stopped"


def test_sending_in_parts_can_be_stopped(page: Page, api: Api) -> None:
    for number in range(60):
        api.add(name=f"part {number:02}")
    page.goto(f"{LIST}?q=part")
    page.check("#action-toggle")
    page.select_option("select[name=action]", "disable")
    page.evaluate(
        """() => {
            const send = window.fetch;
            window.fetch = (...given) => {
                if (String(given[0]).includes("/batch/")) document.querySelector(".batch-stop").click();
                return send(...given);
            };
        }"""
    )
    page.get_by_role("button", name="Go").click()
    expect(page.locator(".batch-summary")).to_have_text("50 disabled, 10 not begun")


def test_without_scripts_one_request_does_it_all(browser: Browser, staffed: Stack, api: Api) -> None:
    ids = [api.add(name=f"plain {number}") for number in range(3)]
    with open_page(browser, staffed, java_script_enabled=False) as page:
        page.goto(f"{LIST}?q=plain")
        choose(page, "start", *ids)
        expect(page.locator(".batch-summary")).to_have_text("3 started")
        expect(page).to_have_url(re.compile(r"\?q=plain$"))
        row(page, ids[0]).get_by_role("button", name="Stop plain 0").click()
        expect(page.locator(".batch-summary")).to_have_text("1 stopped")
        expect(page).to_have_url(re.compile(r"\?q=plain$"))
        expect(row(page, ids[1])).to_be_visible()


def test_shortcuts_search_move_select_and_open(page: Page, api: Api) -> None:
    first, second = api.add(name="key a"), api.add(name="key b")
    page.goto(f"{LIST}?q=key")
    page.keyboard.press("j")
    expect(row(page, first).locator(".row-link")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(row(page, second).locator("input.action-select")).to_be_checked()
    page.keyboard.press("k")
    expect(row(page, first).locator(".row-link")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    page.keyboard.type("j/k")
    expect(page.locator("#searchbar")).to_have_value("j/k")
    page.locator("#searchbar").blur()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"/{first}/change/"))


def test_long_and_hostile_names_wrap_and_stay_text(browser: Browser, staffed: Stack, api: Api) -> None:
    long = api.add(name="w" * 122, labels={"team": "web"})
    hostile = api.add(name="<img src=x onerror=alert(1)> \u202eRTL 🚀")
    api.ok(f"programs/{long}/start")
    for size in ({"width": 1280, "height": 900}, PHONE):
        with open_page(browser, staffed, viewport=size) as page:
            page.goto(LIST)
            expect(row(page, hostile)).to_contain_text("<img src=x onerror=alert(1)>")
            for part in (".state", "button[value=stop]"):
                box = row(page, long).locator(part).bounding_box()
                assert box
                assert 0 <= box["x"] < box["x"] + box["width"] <= size["width"]
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            row(page, long).get_by_role("link", name="team=web").click()
            expect(page.locator("#result_list tbody tr")).to_have_count(1)


def test_viewer_sees_states_but_no_verbs(browser: Browser, staffed: Stack, api: Api) -> None:
    id = api.add(name="seen")
    with open_page(browser, staffed, "viewer") as page:
        page.goto(LIST)
        expect(state(page, id)).to_have_text("stopped")
        expect(row(page, id).get_by_role("button")).to_have_count(0)
        api.ok(f"programs/{id}/start")
        expect(state(page, id)).to_have_text("running", timeout=SOON)
