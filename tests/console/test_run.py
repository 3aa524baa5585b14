"""Something is run from the admin: from the form to the exit code, again, and kept; the history beside it."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.console.chromium import open_page
from tests.processes import shell
from tests.stack import OWN_USER, Api, Stack
from tests.temporary_programs import Quick

LIST = "/admin/quick_start/ephemeralprogram/"
HOSTILE = "<b>bold</b><script>alert(1)</script> 🚀 \u202eרצף"


def test_run_from_the_form_to_the_exit_code_again_and_kept(page: Page, api: Api, quick: Quick) -> None:
    page.goto(LIST)
    page.click("text=Run something")
    page.fill("#id_command", shell("echo $WORD; sleep 3; exit 3"))
    page.fill("#id_user", OWN_USER)
    page.get_by_label("Environment: name").fill("WORD")
    page.get_by_label(re.compile("^Environment: value")).fill("hello there")
    page.select_option("#id_autorestart", "false")
    page.fill("#id_ttl", "600")
    page.get_by_role("button", name="Run", exact=True).click()

    live = page.locator("#live")
    expect(live.locator(".live-head .state")).to_have_text("running")
    expect(page).to_have_title(re.compile("^running · quick_sh_"))
    expect(live.locator("time.until")).to_have_text(re.compile(r"^9:\d\d$"))
    expect(live.locator(".log-stdout pre")).to_contain_text("hello there")
    expect(live.get_by_role("button")).to_have_text(["Stop"])
    expect(live.locator(".live-outcome")).to_have_text(
        re.compile(r"^exited with code 3 after [3-9]\.\d s$"), timeout=20_000
    )
    expect(live.locator(".live-head .state")).to_have_class(re.compile("severity-bad"))
    expect(page).to_have_title(re.compile("^exited · "))
    expect(live.get_by_role("button", name="Stop")).to_have_count(0)

    record = page.url
    live.get_by_text("Run again").click()
    expect(page.locator("#id_ttl")).to_have_value("600")
    page.fill("#id_command", "sleep 1000")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(live.locator(".live-head .state")).to_have_text("running")
    before = live.locator("time.until").text_content()
    expect(live.locator("time.until")).not_to_have_text(before or "")
    live.get_by_role("button", name="Stop").click()
    expect(live.locator(".live-head .state")).to_have_text("stopped")
    live.get_by_role("button", name="Purge").click()
    expect(page.locator(".messagelist")).to_contain_text("Purged")

    page.goto(record)
    live.get_by_text("Keep as a program").click()
    assert "hello" not in page.url
    page.fill("#id_name", "kept")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")
    [kept] = api.get("programs", name="kept").json()["programs"]
    assert kept["environment"] == {"WORD": "hello there"}


def test_list_shows_what_is_launched_and_ends_meanwhile(page: Page, quick: Quick) -> None:
    page.goto(LIST)
    expect(page.locator("html[data-connection=open]")).to_be_attached()
    quick.launch("sleep 1000", name=HOSTILE, ttl=300)
    row = page.locator("#result_list tbody tr", has_text="bold").first
    expect(row.locator("bdi")).to_have_text(HOSTILE)
    expect(row.locator(".state")).to_have_text("running")
    expect(row.locator("time.until")).to_have_text(re.compile(r"^4:\d\d$"))
    row.locator("input[type=checkbox]").check()
    ended = quick.run(shell("kill -9 $$"), name="killed", autorestart="false")
    other = page.locator("#result_list tbody tr", has_text="killed").first
    expect(other).to_contain_text("ended by SIGKILL after")
    expect(other.locator(".state")).to_have_class(re.compile("severity-bad"))
    expect(other.locator("input[type=checkbox]")).not_to_be_checked()
    expect(row.locator("input[type=checkbox]")).to_be_checked()
    assert ended not in quick.listed()


def test_history_is_live_and_leads_to_what_it_tells_of(page: Page, api: Api, quick: Quick) -> None:
    page.goto("/admin/daemon_programs/event/")
    expect(page.locator("html[data-connection=open]")).to_be_attached()
    id = api.add(
        shell("sleep 0.1; exit 4"), name=f"{HOSTILE} again", start_seconds=0, restart_delay_seconds=0
    )
    api.ok(f"programs/{id}/start")
    loop = page.locator("#result_list tbody tr", has_text="×").first
    expect(loop).to_contain_text("exit code 4")
    expect(loop.locator(".field-program bdi")).to_have_text(f"{HOSTILE} again")
    api.ok(f"programs/{id}/stop")
    loop.locator(".field-program a").click()
    expect(page).to_have_url(re.compile(f"/program/{id}/change/"))

    temporary = quick.launch("true", wait="exit", name="brief")
    page.goto("/admin/daemon_programs/event/")
    page.locator("#result_list tbody tr", has_text="brief").first.locator(".field-program a").click()
    expect(page.locator(".live-outcome")).to_contain_text("exited with code 0")
    api.ok(f"programs/remove/{id}")
    page.goto("/admin/daemon_programs/event/?q=again")
    expect(page.locator("#result_list .field-program bdi").first).to_have_text(f"{HOSTILE} again")
    expect(page.locator("#result_list .field-program a")).to_have_count(0)
    assert temporary["status"] == "exited"


def test_viewer_sees_no_form_and_stale_links_keep_the_frame(browser: Browser, staffed: Stack) -> None:
    with open_page(browser, staffed, "viewer", forgiven="/admin/") as page:
        page.goto(LIST)
        expect(page.locator("#result_list")).to_be_visible()
        expect(page.get_by_text("Run something")).to_have_count(0)
        for address, status, sentence in (
            (f"{LIST}add/", 403, "You don't have the permission"),
            (f"{LIST}999999/change/", 404, "perhaps it was removed"),
            ("/admin/no/such/page/", 404, "There is nothing at this address"),
        ):
            answer = page.goto(address)
            assert answer is not None
            assert answer.status == status
            expect(page.locator("#content")).to_contain_text(sentence)
            expect(page.locator("#site-name")).to_have_text("Daemon API")
        page.click("text=Back to the overview")
        expect(page).to_have_url(re.compile("/admin/$"))
