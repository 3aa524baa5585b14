"""The overview in a browser: what needs attention, and that it is told without a reload."""

import os
import re
import signal
import time

from playwright.sync_api import Browser, Locator, Page, expect

from tests.console.chromium import open_page
from tests.processes import shell
from tests.stack import Api, Stack
from tests.temporary_programs import Quick

# Notes when the page tells of the program.
WATCH = """() => { new MutationObserver(() => {
    const problems = document.querySelector(".overview-problems");
    if (!window.seenAt && problems?.textContent.includes("sentinel")) window.seenAt = Date.now();
}).observe(document.body, {subtree: true, childList: true, characterData: true}); }"""


def section(page: Page, title: str) -> Locator:
    return page.locator(".overview section", has=page.get_by_role("heading", name=title, exact=True))


def test_crash_is_told_within_a_second(page: Page, api: Api) -> None:
    id = api.add(shell("exec sleep 1000"), name="sentinel", autorestart="false", boot=True)
    api.until(id, "running")
    page.goto("/admin/")
    problems = section(page, "Needs attention")
    expect(problems).not_to_contain_text("sentinel")
    expect(page.locator("html[data-connection=open]")).to_have_count(1)
    page.evaluate(WATCH)
    killed = time.time()
    os.kill(api.pid(id), signal.SIGKILL)
    expect(problems.locator("li", has_text="sentinel")).to_contain_text("it was ended by SIGKILL")
    assert page.evaluate("window.seenAt") / 1000 - killed < 5  # 0.3 s on an idle machine
    expect(problems.locator("li", has_text="sentinel").locator(".severity-bad")).to_have_text("failed")
    # Beside what tests of other files have left: webhooks that were given up count for an hour.
    expect(page).to_have_title(re.compile(r"\(\d+\) Overview \| Daemon API"))
    page.click(".overview-problems >> text=sentinel")
    expect(page).to_have_url(f"http://{page.url.split('/')[2]}/admin/daemon_programs/program/{id}/change/")


def test_states_are_counted_and_lead_to_the_list(page: Page, api: Api) -> None:
    ids = [api.add(boot=True) for _ in range(2)]
    for id in ids:
        api.until(id, "running")
    page.goto("/admin/")
    counts = section(page, "Programs").locator("li")
    expect(counts.filter(has_text="running")).to_contain_text("2")
    api.ok(f"programs/{ids[0]}/stop")
    expect(counts.filter(has_text="running")).to_contain_text("1")
    assert counts.filter(has_text="running").locator("a").get_attribute("href").endswith("?state=running")
    expect(section(page, "Latest events")).to_contain_text("api")


def test_temporary_program_is_shown_with_the_time_that_it_has_left(page: Page, quick: Quick) -> None:
    id = quick.run(shell("exec sleep 1000"), name="brief <b>", ttl=3000)
    page.goto("/admin/")
    row = section(page, "Temporary programs").locator("tr", has_text="brief <b>")
    expect(row).to_contain_text("in 49 minutes")
    quick.stop(id)
    expect(row).to_have_count(0)


def test_lost_connection_is_told_and_what_was_missed_is_shown(
    browser: Browser, staffed: Stack, api: Api
) -> None:
    with open_page(browser, staffed, forgiven="events/stream") as page:
        page.goto("/admin/")
        banner = page.locator(".connection")
        expect(page.locator("html[data-connection=open]")).to_have_count(1)
        expect(banner).to_be_hidden()
        page.route("**/events/stream*", lambda route: route.abort())
        page.reload()
        expect(banner).to_have_text("Connection lost, reconnecting…")
        api.add(name="meanwhile", command="/nothing/here", boot=True)
        page.unroute("**/events/stream*")
        expect(banner).to_be_hidden()
        expect(section(page, "Needs attention")).to_contain_text("meanwhile")


def test_viewer_of_tokens_sees_no_programs(browser: Browser, staffed: Stack, api: Api) -> None:
    api.add(name="hidden")
    with open_page(browser, staffed, "registrar") as page:
        page.goto("/admin/")
        expect(page.locator(".overview section")).to_have_count(0)
        expect(page.locator("#content-main")).to_contain_text("Users")
