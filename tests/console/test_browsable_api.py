"""The browsable API in a real browser: from the list to a verb, and back to it after a login."""

from playwright.sync_api import Browser, Page, expect

from tests.admin_client import PASSWORD
from tests.console.chromium import open_page
from tests.stack import Api, Stack


def test_from_the_list_to_a_started_program(page: Page, api: Api) -> None:
    id = api.add(name="by link")
    page.goto("/api/v1/daemon/programs")
    page.get_by_role("link", name=str(id), exact=True).click()
    page.get_by_text("Start a program", exact=True).first.click()
    form = page.locator(f"form[data-request$='/{id}/start']")
    form.get_by_label("Example").select_option(label="Wait until it is running")
    expect(form.get_by_label("JSON of the request")).to_have_value('{\n  "wait": true,\n  "timeout": 10\n}')
    form.get_by_role("button", name="Start a program").click()
    expect(form.get_by_role("status")).to_contain_text('"success": true')
    assert api.word(id) == "running"
    page.get_by_role("navigation", name="Related").get_by_role("link", name="Status").click()
    expect(page.locator("pre.json").first).to_contain_text('"status": "running"')


def test_refused_request_says_why(browser: Browser, staffed: Stack, api: Api) -> None:
    id = api.add()
    with open_page(browser, staffed, forgiven="/signal") as page:
        page.goto(f"/api/v1/daemon/programs/{id}")
        page.get_by_text("Signal a program", exact=True).first.click()
        form = page.locator(f"form[data-request$='/{id}/signal']")
        form.get_by_label("JSON of the request").fill("{")
        form.get_by_role("button").click()
        expect(form.get_by_role("status")).to_contain_text("The body is not valid JSON")


def test_program_is_removed_only_when_that_is_confirmed(page: Page, api: Api) -> None:
    id = api.add()
    page.goto(f"/api/v1/daemon/programs/{id}")
    page.get_by_text("Remove a program", exact=True).first.click()
    form = page.locator(f"form[data-request$='/remove/{id}']")
    page.once("dialog", lambda dialog: dialog.dismiss())
    form.get_by_role("button").click()
    assert api.get(f"programs/{id}").status_code == 200
    page.once("dialog", lambda dialog: dialog.accept())
    form.get_by_role("button").click()
    expect(form.get_by_role("status")).to_contain_text('"success": true')
    assert api.get(f"programs/{id}").status_code == 404


def test_login_leads_back(browser: Browser, staffed: Stack) -> None:
    with open_page(browser, staffed, None) as page:
        page.goto("/api/v1/daemon/events?limit=5")
        page.get_by_role("link", name="Log in to see this page").click()
        page.fill("#id_username", "viewer")
        page.fill("#id_password", PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"http://{staffed.admin_host}/api/v1/daemon/events?limit=5")
        expect(page.get_by_role("heading", level=1)).to_have_text("List events")
        page.get_by_role("button", name="Log out").click()
        page.goto("/api/v1/daemon/programs")
        expect(page.get_by_role("link", name="Log in to see this page")).to_be_visible()


def test_long_list_is_shown_at_once(page: Page, api: Api) -> None:
    for _ in range(6):
        api.add(environment={"A": "<" * 120_000})
    page.goto("/")
    page.get_by_role("link", name="Browsable API").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("List programs", timeout=5000)
    expect(page.locator("pre.json").first).to_contain_text("characters more")
