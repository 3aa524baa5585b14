"""Hosts in a browser: from the overview to the page of a program of any host."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.fleet import scenes
from tests.processes import shell
from tests.stack import Stack


@pytest.fixture(scope="module")
def followed(staffed: Stack) -> Iterator[int]:
    """A program that the stack, as its own hub, knows of as "followed"."""
    client = staffed.api
    id = client.add(shell("echo up; exec sleep 1000"), name="followed")
    with scenes.hub(staffed, id):
        yield id
    client.ok(f"programs/remove/{id}")


def test_hosts_lead_from_the_overview_to_a_program_and_its_verbs(
    page: Page, followed: int, staffed: Stack
) -> None:
    page.goto("/admin/")
    hosts = page.locator(".overview-hosts")
    expect(hosts.locator("tbody tr").first).to_contain_text("lost")
    expect(hosts.locator("tbody tr").first).to_contain_text("last heard 3 minutes ago")
    hosts.get_by_role("link", name="self", exact=True).click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("broken")
    expect(page.locator(".live-problem")).to_contain_text("What is shown of these hosts is old: lost")
    rows.get_by_role("link", name="followed").click()
    expect(page).to_have_title("stopped · followed on self | Daemon API")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("“followed” on self: started.")
    assert staffed.api.word(followed) == "running"
    expect(page.locator(".log-box")).to_contain_text("up")  # read from the host
    expect(page.get_by_text("Download")).to_be_hidden()
    scenes.change(staffed, followed, "running")
    expect(page.get_by_role("button", name="Restart", exact=True)).to_be_visible()  # without a reload
    expect(page).to_have_title("running · followed on self | Daemon API")


def test_page_of_a_lost_host_is_unmistakably_old(page: Page, followed: int) -> None:
    page.goto("/admin/fleet/followedprogram/?host=lost")
    page.locator("#result_list").get_by_role("link", name="worker").click()
    alert = page.get_by_role("alert").filter(has_text="This may not be true any more")
    expect(alert).to_contain_text("lost was last heard 3 minutes ago. Host 'lost' can't be reached")
    expect(page.locator(".live-state .severity-warning")).to_have_text("running")
    expect(page.locator(".usage-chart")).to_be_visible()
