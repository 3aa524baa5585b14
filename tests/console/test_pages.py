"""The pages in a real browser: what people click works, and nothing is asked of other hosts."""

from playwright.sync_api import Browser, Page, expect

from tests.admin_client import PROGRAMS
from tests.console.chromium import open_page
from tests.stack import OWN_USER, Api, Stack, free_port


def open_program(page: Page, id: int) -> None:
    page.goto(f"/admin/{PROGRAMS}{id}/change/")


def test_program_is_added_started_watched_changed_and_deleted_by_hand(page: Page, api: Api) -> None:
    port = free_port()
    page.goto(f"/admin/{PROGRAMS}add/")
    page.fill("#id_name", " by  hand ")
    page.fill("#id_command", f"python3 -u -m http.server {port} --bind 127.0.0.1")
    page.fill("#id_user", OWN_USER)
    page.get_by_role("button", name="Edit as JSON: Environment").click()
    page.fill("#id_environment", '{"GREETING": " hello\\nworld "}')
    page.locator("summary", has_text="Readiness").click()
    page.fill("#id_ready_port", str(port))
    page.click("text=Save and continue editing")

    live = page.locator("#live")
    expect(live.locator(".live-head .state")).to_have_text("stopped")
    stored = api.get("programs", name=" by  hand ").json()["programs"]
    assert [program["environment"] for program in stored] == [{"GREETING": " hello\nworld "}]
    id = stored[0]["id"]

    live.get_by_role("button", name="Start", exact=True).click()
    expect(live.locator(".live-head .state")).to_have_text("running")
    expect(live).to_contain_text(f"ready on port {port}")
    expect(live.locator(".log-box")).to_contain_text("Serving HTTP")
    pid = api.pid(id)
    live.get_by_role("button", name="Restart").click()
    expect(page.locator(".messagelist")).to_contain_text("restarted")
    assert api.pid(id) not in (pid, None)

    page.fill("#id_description", "one\ntwo")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert api.get(f"programs/{id}").json()["program"]["description"] == "one\ntwo"

    open_program(page, id)
    live.get_by_role("button", name="Stop").click()
    expect(live.locator(".live-head .state")).to_have_text("stopped")
    page.click("text=Delete")
    page.click("text=Yes, I’m sure")
    expect(page.locator(".messagelist")).to_contain_text("was deleted successfully")
    assert api.get(f"programs/{id}").status_code == 404


def test_saving_an_awkward_program_untouched_changes_nothing(page: Page, api: Api) -> None:
    id = api.add(
        "sh -c 'echo \" <b>&amp;</b> \\t %(here)s ; # \u2028\"'   ",
        name="  日本 🚀 <i>  ",
        description="\n\na\n  b\n",
        environment={"A": "line\nbreak\r\n", "B": " \"'\\ ", "C": "\u0085\u2028🚀"},
        directory="/",
        port_range={"start": 23000, "end": 23001},
        port_param=" --a\n'b c' ",
    )
    before = api.get(f"programs/{id}").json()
    open_program(page, id)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert api.get(f"programs/{id}").json() == before


def test_name_of_128_emoji_can_be_typed(page: Page, api: Api) -> None:
    id = api.add(name="short")
    open_program(page, id)
    page.locator("#id_name").fill("")
    page.locator("#id_name").press_sequentially("🚀" * 128)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was changed successfully")
    assert api.get(f"programs/{id}").json()["program"]["name"] == "🚀" * 128


def test_error_in_a_folded_group_unfolds_it(page: Page, api: Api) -> None:
    id = api.add()
    open_program(page, id)
    expect(page.locator("#id_port_start")).to_be_hidden()
    page.click("text=Port range")
    page.fill("#id_port_start", "23100")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".field-port_start .errorlist").first).to_have_text(
        "Field 'port_range' needs both start and end"
    )
    expect(page.locator("#id_port_start")).to_be_visible()
    expect(page.locator("#id_stdout_logfile")).to_be_hidden()


def test_instances_of_a_port_range_have_buttons_of_their_own(page: Page, api: Api) -> None:
    id = api.add("sh -c 'exec sleep 1000'", port_range={"start": 23200, "end": 23209})
    open_program(page, id)
    page.locator("input.tile[value='23204']").check()
    page.get_by_role("button", name="Start selected", exact=True).click()
    row = page.locator("#live form tr", has_text="23204")
    expect(row.locator(".state")).to_have_text("running")
    row.get_by_role("button", name="Stop 23204").click()
    expect(page.locator("#live form tr", has_text="23204")).to_have_count(0)
    expect(page.locator(".messagelist")).to_contain_text("port 23204: stopped")


def test_action_of_the_list_stops_the_chosen_programs(page: Page, api: Api) -> None:
    ids = [api.add(boot=True), api.add(boot=True)]
    for id in ids:
        api.until(id, "running")
    page.goto(f"/admin/{PROGRAMS}")
    page.check(f"input[name=_selected_action][value='{ids[0]}']")
    page.select_option("select[name=action]", "stop")
    page.get_by_role("button", name="Go").click()
    expect(page.locator(".batch-summary")).to_have_text("1 stopped")
    assert [api.word(id) for id in ids] == ["stopped", "running"]


def test_viewer_gets_no_buttons(browser: Browser, staffed: Stack, api: Api) -> None:
    id = api.add()
    with open_page(browser, staffed, "viewer") as page:
        page.goto(f"/admin/{PROGRAMS}")
        expect(page.locator("#result_list")).to_be_visible()
        expect(page.locator("select[name=action]")).to_have_count(0)
        open_program(page, id)
        expect(page.locator("#live .live-head .state")).to_have_text("stopped")
        expect(
            page.locator("#content :is(button:visible:not(.log-button, [data-span]), input[type=submit])")
        ).to_have_count(0)


def test_documentation_is_served_from_this_host(page: Page) -> None:
    page.goto("/admin/")
    page.click("text=API documentation")
    expect(page.locator(".opblock").first).to_be_visible()
    expect(page.locator("h2.title, .info .title").first).to_contain_text("Daemon API")


def test_browsable_api_is_served_from_this_host(page: Page, api: Api) -> None:
    api.add(name="browsed")
    page.goto("/api/v1/daemon/programs")
    expect(page.get_by_role("region", name="Response")).to_contain_text("browsed")
