"""Shortcuts of the keyboard, and the help that tells of them."""

from playwright.sync_api import Browser, Page, expect

from tests.admin_client import PROGRAMS
from tests.console.chromium import open_page
from tests.stack import Stack


def test_help_tells_the_shortcuts_of_all_pages_and_of_this_one(page: Page) -> None:
    page.goto("/admin/daemon_programs/event/")
    help = page.get_by_role("dialog", name="Keyboard shortcuts")
    page.keyboard.press("?")
    expect(help).to_be_visible()
    expect(help).to_contain_text("Temporary programs")
    expect(help).to_contain_text("On this page")
    page.keyboard.press("Escape")
    expect(help).to_be_hidden()
    page.evaluate("""() => {
        const verb = document.createElement("button");
        verb.dataset.shortcut = "<r>";
        verb.title = "<b>Restart";
        document.body.append(verb);
    }""")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(help.locator("section div").last).to_have_text("<r><b>Restart")
    help.get_by_role("button", name="Close").click()
    expect(help).to_be_hidden()


def test_keys_lead_to_the_pages(page: Page) -> None:
    page.goto("/admin/")
    for key, address in (
        ("p", f"/admin/{PROGRAMS}"),
        ("h", "/admin/daemon_programs/event/"),
        ("t", "/admin/quick_start/ephemeralprogram/"),
        ("o", "/admin/"),
    ):
        page.keyboard.press("g")
        page.keyboard.press(key)
        page.wait_for_url(f"**{address}")


def test_keys_are_text_while_one_types(page: Page) -> None:
    page.goto("/admin/daemon_programs/event/")
    page.keyboard.press("/")
    field = page.locator("#searchbar")
    expect(field).to_be_focused()
    page.keyboard.type("g p?/")
    expect(field).to_have_value("g p?/")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_keys_lead_only_where_the_user_may_go(browser: Browser, staffed: Stack) -> None:
    with open_page(browser, staffed, "clerk") as page:
        page.keyboard.press("?")
        help = page.get_by_role("dialog", name="Keyboard shortcuts")
        expect(help).to_contain_text("Overview")
        expect(help).not_to_contain_text("Programs")
