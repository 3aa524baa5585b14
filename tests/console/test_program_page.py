"""A program's page in a real browser: it shows what happens, and does what is clicked."""

import os
import re
import signal
import time

from playwright.sync_api import Browser, Page, expect

from tests.admin_client import PROGRAMS
from tests.console.chromium import open_page
from tests.processes import shell, started
from tests.stack import Api, Stack, eventually

PHONE = {"width": 390, "height": 844}


def open_program(page: Page, id: int) -> None:
    page.goto(f"/admin/{PROGRAMS}{id}/change/")


def test_crash_is_seen_within_a_second_and_a_restart_follows_without_reload(page: Page, api: Api) -> None:
    id = api.add(name="crashes", boot=True, restart_delay_seconds=3)
    pid = api.until(id, "running")["status"]["pid"]
    open_program(page, id)
    badge, facts = page.locator(".live-head .state"), page.locator(".live-head")
    expect(badge).to_have_text("running")
    expect(facts).to_contain_text(f"pid {pid}")
    expect(page).to_have_title("● running · crashes | Daemon API")
    page.evaluate("window.isTheSamePage = true")

    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    expect(badge).to_have_text("backoff")
    took = time.monotonic() - began
    expect(page).to_have_title(re.compile("▲ backoff · crashes"))
    expect(facts).to_contain_text("was ended by SIGKILL after")
    expect(facts).to_contain_text("next start in")
    expect(badge).to_have_text("running")
    new = api.pid(id)
    assert new != pid
    expect(facts).to_contain_text(f"pid {new}")
    expect(page.locator(".events tbody tr").first).to_contain_text("running")
    assert page.evaluate("window.isTheSamePage")
    print(f"seen after {took:.2f} s")
    assert took < 1 + os.getloadavg()[0] / 4  # a loaded machine takes its time
    uptime = page.locator(".live-head time.since")
    before = uptime.text_content() or ""
    expect(uptime).not_to_have_text(before)  # it ticks


def test_buttons_are_those_that_fit_the_state(page: Page, api: Api) -> None:
    id = api.add(name="fits", reload={"signal": "HUP"})
    open_program(page, id)
    verbs = page.locator(".live-head .live-verbs")

    def names() -> list[str]:
        return [text.strip() for text in verbs.locator("button").all_text_contents()]

    assert names() == ["Start", "Disable"]
    verbs.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("started")
    assert names() == ["Stop", "Restart", "Reload", "Disable", "Send"]
    assert all(button.get_attribute("title") for button in verbs.locator("button").all())
    verbs.get_by_role("button", name="Disable").click()
    expect(page.locator(".live-head")).to_contain_text("This program is disabled")
    assert names() == ["Enable"]
    verbs.get_by_role("button", name="Enable").click()
    expect(page.locator(".messagelist")).to_contain_text("“fits”: enabled.")
    assert names() == ["Start", "Disable"]


def test_verbs_are_near_the_beginning_of_the_page_on_a_phone_too(page: Page, api: Api) -> None:
    id = api.add(boot=True, reload={"signal": "HUP"})
    started(api, id)
    page.set_viewport_size(PHONE)
    open_program(page, id)
    page.locator(".skip-to-content-link").focus()
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name"))
    assert {"stop", "restart", "reload", "disable", "signal_name", "signal"} <= reached
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for button in page.locator(".live-head button").all():
        box = button.bounding_box()
        assert box
        assert 0 <= box["x"] <= box["x"] + box["width"] <= PHONE["width"]


def test_failing_start_says_why(page: Page, api: Api) -> None:
    nasty = "<b>no such table</b>"
    id = api.add(shell(f"echo '{nasty}' >&2; sleep 0.3; exit 3"), name="web", autorestart="false")
    open_program(page, id)
    page.get_by_role("button", name="Start", exact=True).click()
    message = page.locator(".messagelist li")
    expect(message).to_contain_text(
        re.compile(r"“web” exited with code 3 after 0\.\d s\. The last lines of stderr")
    )
    expect(message.locator("pre")).to_have_text(nasty)
    loops = api.add(shell("echo out; exit 4"), name="loops", start_retries=None, restart_delay_max_seconds=1)
    open_program(page, loops)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(message).to_contain_text("“loops” is restarted again and again: it exited with code 4 after")
    expect(message.locator("pre")).to_have_text(re.compile("out"))
    expect(page.locator(".flapping")).to_contain_text(re.compile(r"restarted \d+ × in a minute"))
    expect(page).to_have_title(re.compile("▲ flapping"))
    row = page.locator(".events tbody tr", has_text="×").first
    expect(row).to_contain_text(re.compile(r"× \d+"))
    row.locator("a").click()
    expect(page.locator("#content")).to_contain_text("loops")


def test_instances_are_selected_and_operated_together(page: Page, api: Api) -> None:
    id = api.add("sh -c 'exec sleep 1000'", name="many", port_range={"start": 23300, "end": 23309})
    open_program(page, id)
    tiles = page.locator("input.tile")
    expect(tiles).to_have_count(10)
    tiles.nth(1).click()
    tiles.nth(3).click(modifiers=["Shift"])
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator(".tiles-choose output")).to_have_text("4 selected")
    page.get_by_role("button", name="Start selected", exact=True).click()
    expect(page.locator(".messagelist")).to_have_text("“many”: 4 started.")
    for place in (1, 2, 3, 5):
        expect(tiles.nth(place)).to_have_accessible_name(f"{23300 + place} running")
    expect(page.locator("legend")).to_have_text("Ports 23300–23309: 4 running, 6 stopped")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size({"width": 1280, "height": 900})

    tiles.nth(0).check()
    api.ok(f"programs/{id}/start", {"port": 23309})
    expect(tiles.nth(9)).to_have_accessible_name("23309 running")
    expect(tiles.nth(0)).to_be_checked()  # what was selected stays so when the page is brought up to date
    page.get_by_role("button", name="Those that run").click()
    page.get_by_role("button", name="Stop selected").click()
    expect(page.locator(".messagelist")).to_have_text("“many”: 5 stopped.")
    expect(page.locator("legend")).to_have_text("Ports 23300–23309: 10 stopped")


def test_processes_are_shown_as_a_tree_when_they_are_asked_for(page: Page, api: Api) -> None:
    id = api.add(shell("sleep 4713 & sleep 4714; :"), boot=True)
    api.until(id, "running")
    open_program(page, id)
    summary = page.locator("summary", has_text="Processes")
    expect(summary).to_contain_text("3, with what each uses")
    expect(page.locator("table.processes")).to_have_count(0)
    summary.click()
    rows = page.locator("table.processes tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("sleep 4713")
    lefts = [row.locator("code").bounding_box()["x"] for row in rows.all()]  # type: ignore[index]
    assert lefts[0] < lefts[1] == lefts[2]
    api.ok(f"programs/{id}/restart", {"wait": True})
    expect(rows.first).to_contain_text(str(api.pid(id)))


def test_viewer_sees_tiles_and_no_buttons(browser: Browser, staffed: Stack, api: Api) -> None:
    id = api.add("sh -c 'exec sleep 1000'", port_range={"start": 23320, "end": 23322})
    api.ok(f"programs/{id}/start", {"port": 23321})
    with open_page(browser, staffed, "viewer") as page:
        open_program(page, id)
        expect(page.get_by_role("img", name="23321 running")).to_be_visible()
        expect(page.locator("#live form[method=post] button, #live input[type=checkbox]")).to_have_count(0)
        eventually(lambda: page.locator(".state").count() > 0)
