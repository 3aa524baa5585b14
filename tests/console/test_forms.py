"""The form of a program in a real browser: JSON as rows, completion, errors; the page before a removal."""

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.admin_client import PROGRAMS
from tests.console.chromium import open_page
from tests.stack import OWN_USER, Api, Stack

AWKWARD: dict[str, Any] = {
    "environment": {
        "LINES": "a\r\nb\n",
        "CONTROLS": "\t\x01\x1b[31m",
        "UNICODE": "🚀 \u2028\u0085é",
        "EMPTY": "",
        "API_TOKEN": "<b>\"'\\</b>",
    },
    "before_start": ["true ' a  b '", {"command": "true", "timeout": 7}, {"command": "true"}],
    "limits": {"core": "unlimited", "nofile": 2**53 - 1},
    "labels": {"example.com/team": "", "10": "x"},
    "exit_codes": [0, 143],
    "reload": {"command": "true '\u2028'"},
    "ready": {"log": "^\u2028 <i>\\d+\n$"},
    "health": {"port": 9, "interval": 3600, "action": "none"},
    "webhooks": {
        "enabled": False,
        "urls": ["https://example.com/é"],
        "events": ["EXITED"],
        "headers": {"A": ""},
    },
}

FIELDS = 10  # of JSON, all of which are in sections that the program above uses


def open_form(page: Page, id: int) -> None:
    page.goto(f"/admin/{PROGRAMS}{id}/change/")


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("successfully")


def stored(api: Api, id: int) -> dict[str, Any]:
    return api.get(f"programs/{id}").json()["program"]  # type: ignore[no-any-return]


def rows_of(page: Page, field: str) -> Locator:
    return page.locator(f".field-{field} .rows-row")


def test_program_is_described_in_rows_by_keyboard(page: Page, api: Api) -> None:
    api.add(name="the database")
    page.goto(f"/admin/{PROGRAMS}add/")
    page.fill("#id_name", "rows")
    page.fill("#id_command", "sleep 1000")
    expect(page.locator(f"#id_user_accounts option[value={OWN_USER}]")).to_have_count(1)
    page.fill("#id_user", OWN_USER)

    page.get_by_label("Environment", exact=True).get_by_label("name").focus()
    page.keyboard.type("A")
    page.keyboard.press("Tab")
    page.keyboard.type(' "1" ')
    page.keyboard.press("Enter")  # a row below, with the focus in its name
    page.keyboard.type("B")
    expect(rows_of(page, "environment")).to_have_count(2)
    expect(page.get_by_role("button", name="Remove B from Environment")).to_be_visible()

    page.locator("summary", has_text="Readiness").click()
    page.get_by_label("Ready", exact=True).locator("select").select_option("http")
    page.get_by_label("Ready").get_by_label("HTTP").fill("http://127.0.0.1:9000/")
    page.get_by_label("Ready").get_by_label("Interval").fill("2")
    needed = page.get_by_label("Depends on").get_by_label("Program")
    needed.press_sequentially("data")
    expect(page.locator(".field-depends_on datalist option[value='the database']")).to_have_count(1)
    needed.fill("the database")
    page.get_by_label("Depends on").get_by_label("Condition").select_option("ready")

    page.locator("summary", has_text="Webhooks").click()
    page.get_by_role("button", name="Add Webhooks").click()
    page.get_by_label("Webhooks: URLs", exact=True).fill("https://example.com/")
    page.locator(".field-webhooks").get_by_label("STARTING").uncheck()
    save(page)

    program = api.get("programs", name="rows").json()["programs"][0]
    assert program["environment"] == {"A": ' "1" ', "B": ""}
    assert program["ready"] == {"http": "http://127.0.0.1:9000/", "interval": 2}
    assert program["depends_on"] == [{"program": "the database", "condition": "ready"}]
    assert program["webhooks"]["urls"] == ["https://example.com/"]
    assert "STARTING" not in program["webhooks"]["events"]
    assert len(program["webhooks"]["events"]) == 7


def test_saving_rows_untouched_changes_nothing_and_a_change_only_what_it_is_about(
    page: Page, api: Api
) -> None:
    id = api.add(**AWKWARD)
    before = stored(api, id)
    open_form(page, id)
    expect(page.locator(".rows:visible")).to_have_count(FIELDS)
    save(page)
    assert stored(api, id) == before

    open_form(page, id)
    page.get_by_label("Environment: value of EMPTY").fill("é")
    page.get_by_role("button", name="Remove true from Before start").first.click()
    page.get_by_label("Health: Interval").fill("5")
    save(page)
    after = stored(api, id)
    assert after["environment"] == {**AWKWARD["environment"], "EMPTY": "é"}
    assert after["before_start"] == [AWKWARD["before_start"][0], AWKWARD["before_start"][2]]
    assert after["health"] == {**AWKWARD["health"], "interval": 5}
    same = {"environment": 0, "before_start": 0, "health": 0}
    assert {**after, **same} == {**before, **same}


def test_rows_and_json_are_two_views_of_one_value(page: Page, api: Api) -> None:
    id = api.add(labels={"team": "web"})
    open_form(page, id)
    frame = page.locator(".field-labels")
    area = frame.locator("#id_labels")
    frame.get_by_role("button", name="Add row").click()
    page.keyboard.type("tier")
    frame.get_by_role("button", name="Edit as JSON").click()
    assert json.loads(area.input_value()) == {"team": "web", "tier": ""}

    for text, sentence in (
        ('{"team": ', "This is not valid JSON"),
        ('{"a": "1", "a": "2"}', "a key occurs twice"),
        ('{"a": 1}', "it has another form"),
    ):
        area.fill(text)
        frame.get_by_role("button", name="Edit as rows").click()
        expect(frame.locator(".rows-problem")).to_contain_text(sentence)
        expect(area).to_have_value(text)

    area.fill('{"team": "db", "__proto__": "x"}')
    frame.get_by_role("button", name="Edit as rows").click()
    expect(frame.locator(".rows-problem")).to_be_hidden()
    expect(rows_of(page, "labels")).to_have_count(2)
    for name in ("__proto__", "team"):
        frame.get_by_role("button", name=f"Remove {name}").click()
    save(page)
    assert "labels" not in stored(api, id)


def test_equal_names_in_rows_are_refused_by_the_server_and_kept(page: Page, api: Api) -> None:
    id = api.add(environment={"A": "1"})
    open_form(page, id)
    page.get_by_label("Environment: value of A").press("Enter")
    page.keyboard.type("A")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".field-environment .errorlist")).to_contain_text("a key occurs twice")
    expect(page.locator("#id_environment")).to_be_visible()
    expect(page.locator("#id_environment")).to_be_focused()
    assert page.locator("#id_environment").input_value().count('"A"') == 2


def test_secrets_are_dots_until_one_asks(page: Page, api: Api) -> None:
    id = api.add(environment={"API_TOKEN": "quiet", "CERT_KEY": "a\nb", "HOME": "/"})
    open_form(page, id)

    def dots(name: str) -> bool:
        value = page.get_by_label(f"Environment: value of {name}")
        return bool(value.evaluate("e => getComputedStyle(e).webkitTextSecurity !== 'none'"))

    assert [dots(name) for name in ("API_TOKEN", "CERT_KEY", "HOME")] == [True, True, False]
    page.get_by_role("button", name="Show the value of API_TOKEN").click()
    assert [dots(name) for name in ("API_TOKEN", "CERT_KEY")] == [False, True]
    home = page.get_by_label("Environment: value of HOME")  # PostgreSQL orders the keys otherwise
    rows_of(page, "environment").filter(has=home).get_by_label("name").fill("PASSWORD")
    assert dots("PASSWORD")


def test_text_pasted_with_line_breaks_keeps_them(page: Page, api: Api) -> None:
    id = api.add(environment={"A": "xy"})
    open_form(page, id)
    value = page.get_by_label("Environment: value of A")
    value.evaluate(
        """e => {
            e.setSelectionRange(1, 1);
            const data = new DataTransfer();
            data.setData("text", "1\\n2");
            const options = {clipboardData: data, bubbles: true, cancelable: true};
            e.dispatchEvent(new ClipboardEvent("paste", options));
        }"""
    )
    expect(page.locator(".field-environment .rows textarea")).to_have_value("x1\n2y")
    save(page)
    assert stored(api, id)["environment"] == {"A": "x1\n2y"}


def test_refused_form_leads_to_its_first_error(page: Page, api: Api) -> None:
    id = api.add()
    open_form(page, id)
    page.locator("summary", has_text="Webhooks").click()
    page.get_by_role("button", name="Add Webhooks").click()
    page.fill("#id_user", "no-such-user")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#id_user")).to_be_focused()
    links = page.get_by_label("Refused fields").get_by_role("link")
    expect(links).to_have_text(["User", "Webhooks"])
    links.nth(1).click()
    expect(page.locator(".field-webhooks .rows input").first).to_be_focused()
    expect(page.locator(".field-webhooks")).to_be_in_viewport()


def test_without_scripts_json_is_typed_and_saved(browser: Browser, staffed: Stack, api: Api) -> None:
    id = api.add(environment={"A": "1"})
    with open_page(browser, staffed, java_script_enabled=False) as page:
        open_form(page, id)
        page.fill("#id_environment", '{"A": "2"}')
        save(page)
    assert stored(api, id)["environment"] == {"A": "2"}


def test_viewer_reads_values_as_tables(browser: Browser, staffed: Stack, api: Api) -> None:
    id = api.add(**AWKWARD)
    with open_page(browser, staffed, "viewer") as page:
        open_form(page, id)
        environment = page.locator(".field-environment")
        expect(environment.locator("tr", has_text="UNICODE")).to_contain_text("🚀")
        secret = environment.get_by_text("<b>\"'\\</b>")
        expect(secret).to_be_hidden()
        environment.locator("summary").click()
        expect(secret).to_be_visible()
        expect(page.locator(".field-exit_codes .readonly")).to_have_text("0, 143")
        expect(page.locator(".field-stop_grace_seconds .readonly")).to_have_text("10 seconds")
        expect(page.locator("textarea")).to_have_count(0)


@pytest.mark.parametrize("width", [1280, 390])
def test_form_fits_the_screen(page: Page, api: Api, width: int) -> None:
    id = api.add(**AWKWARD)
    page.set_viewport_size({"width": width, "height": 800})
    open_form(page, id)
    expect(page.locator(".rows:visible")).to_have_count(FIELDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for value in page.locator(".rows-pair .rows-value").all():
        box = value.bounding_box()
        assert box
        assert box["width"] > 120


def test_way_back_from_a_removal_has_the_focus(page: Page, api: Api) -> None:
    id = api.add(name="stays", boot=True)
    pid = api.until(id, "running")["status"]["pid"]
    open_form(page, id)
    page.click("text=Delete")
    expect(page.locator(".removal")).to_contain_text("1 process will be stopped first")
    expect(page.get_by_role("link", name="No, take me back")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#id_name")).to_have_value("stays")
    assert api.pid(id) == pid
