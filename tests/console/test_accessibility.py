"""Pages for everyone: axe-core finds nothing, in light and dark mode, and no page is wider than a phone.

Each page is opened once and looked at in all modes. A new page is one line in `PAGES`.
"""

import importlib.resources
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.admin_client import PROGRAMS, TOKENS, AdminClient
from tests.console.chromium import open_page
from tests.fleet import scenes
from tests.processes import shell
from tests.stack import Stack
from tests.temporary_programs import Quick

AXE = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
EPHEMERAL = "quick_start/ephemeralprogram/"
HOSTS = "fleet/host/"
# Swagger UI's own, in what its script makes: the line of an operation is a button with buttons in it, the
# headings of tags follow the title with a level left out, and the title is outside of the main landmark.
EXEMPT = {"documentation": {"nested-interactive", "heading-order", "region"}}
# The rules whose answer depends on what a narrow page shows, and how.
LAYOUT = {
    "type": "rule",
    "values": [
        *("aria-hidden-focus", "button-name", "color-contrast", "label", "landmark-one-main", "link-name"),
        *("page-has-heading-one", "region", "scrollable-region-focusable"),
    ],
}

PAGES = {
    "index": "/admin/",
    "list of programs": f"/admin/{PROGRAMS}",
    "running program": f"/admin/{PROGRAMS}{{running}}/change/",
    "fatal program": f"/admin/{PROGRAMS}{{fatal}}/change/",
    "port range": f"/admin/{PROGRAMS}{{range}}/change/",
    "log": f"/admin/{PROGRAMS}{{running}}/log/",
    "new program": f"/admin/{PROGRAMS}add/",
    "deletion of a program": f"/admin/{PROGRAMS}{{running}}/delete/",
    "audit of a program": f"/admin/{PROGRAMS}{{running}}/history/",
    "history": "/admin/daemon_programs/event/",
    "event": "/admin/daemon_programs/event/{event}/change/",
    "deliveries": "/admin/daemon_programs/delivery/",
    "temporary programs": f"/admin/{EPHEMERAL}",
    "temporary program": f"/admin/{EPHEMERAL}{{temporary}}/change/",
    "log of a temporary program": f"/admin/{EPHEMERAL}{{temporary}}/log/",
    "run something": f"/admin/{EPHEMERAL}add/",
    "hosts": f"/admin/{HOSTS}",
    "host": f"/admin/{HOSTS}{{host}}/change/",
    "new invitation": "/admin/fleet/invitation/add/",
    "roll-outs": "/admin/fleet/rollout/",
    "roll-out": "/admin/fleet/rollout/{rollout}/change/",
    "programs of hosts": "/admin/fleet/followedprogram/",
    "program of a host": "{followed}",
    "users": "/admin/auth/user/",
    "user": "/admin/auth/user/1/change/",
    "groups": "/admin/auth/group/",
    "group": "/admin/auth/group/1/change/",
    "tokens": f"/admin/{TOKENS}",
    "new token": f"/admin/{TOKENS}add/",
    "password": "/admin/password_change/",
    "unknown address": "/admin/nothing/",
    "API: programs": "/api/v1/daemon/programs?include_stats=true",
    "API: program": "/api/v1/daemon/programs/{running}",
    "API: verb": "/api/v1/daemon/programs/{running}/start",
    "API: events": "/api/v1/daemon/events?limit=5",
}
VIEWERS = {"no permission": "/admin/auth/user/"}
STRANGERS = {
    "login": "/admin/login/",
    "start page": "/",
    "documentation": "/api/docs/",
    "API without login": "/api/v1/daemon/programs",
}


@pytest.fixture(scope="module")
def scene(staffed: Stack) -> Iterator[dict[str, Any]]:
    """Programs in each state, and the ids that the addresses of pages have."""
    api = staffed.api
    ids = {
        "running": api.add(shell("echo up; exec sleep 1000"), name="running", boot=True, description="A web"),
        "fatal": api.add("/nothing/there", name="fatal", boot=True),
        "exited": api.add("true", name="exited", boot=True, autorestart="false"),
        "backoff": api.add("false", name="looping", boot=True, start_retries=1000),
        "disabled": api.add(name="disabled", enabled=False),
        "range": api.add(name="range", port_range={"start": 24000, "end": 24003}),
        "long": api.add(name="long-" * 24),
    }
    api.until(ids["running"], "running")
    api.until(ids["fatal"], "fatal")
    api.ok(f"programs/{ids['range']}/start", {"port": 24001})
    events = api.get("events", limit=1).json()["events"]
    rollout = {"hosts": {"all": True}, "programs": [], "paused": True}
    begun = api.ok("fleet/apply", rollout)["rollout"]["id"]
    with Quick(staffed) as quick:
        name = quick.status(quick.run("sleep 1000"))["name"]
        link = re.search(rf'/(\d+)/change/"[^>]*>(?:<bdi>)?{name}<', AdminClient(staffed).page(EPHEMERAL))
        assert link
        api.ok(
            "hosts/add",
            {"name": "web-1", "url": staffed.url, "token": "x", "check": False, "labels": {"a": "b"}},
        )
        host = re.search(r'/(\d+)/change/">web-1<', AdminClient(staffed).page(HOSTS))
        assert host
        with scenes.hub(staffed, ids["running"]):
            followed = scenes.page_of(staffed, "worker")
            more = {"host": host[1], "rollout": begun, "followed": followed}
            yield {**ids, "event": events[0]["id"], "temporary": link[1], **more}
    api.ok("hosts/remove/web-1")
    for id in ids.values():
        api.ok(f"programs/remove/{id}")


def test_pages_of_an_administrator(browser: Browser, staffed: Stack, scene: dict[str, Any]) -> None:
    look_at(browser, staffed, scene, PAGES, "boss")


def test_pages_of_a_viewer(browser: Browser, staffed: Stack, scene: dict[str, Any]) -> None:
    look_at(browser, staffed, scene, VIEWERS, "viewer")


def test_pages_of_strangers(browser: Browser, staffed: Stack, scene: dict[str, Any]) -> None:
    look_at(browser, staffed, scene, STRANGERS, None)


def look_at(
    browser: Browser, stack: Stack, scene: dict[str, Any], pages: dict[str, str], person: str | None
) -> None:
    """Open the pages, and report all that is wrong with any of them."""
    found: list[str] = []
    with open_page(browser, stack, person, reduced_motion="reduce") as page:
        for name, address in pages.items():
            page.goto(address.format(**scene))
            if name == "documentation":
                page.wait_for_selector(".opblock")
            found += [f"{name}, {line}" for line in findings(page, EXEMPT.get(name, set()))]
        assert not found, "\n\n".join(found)


def findings(page: Page, exempt: set[str]) -> list[str]:
    """Return what is wrong with a page, in each mode."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.evaluate(AXE)
    found = [f"light: {line}" for line in violations(page, {}, exempt)]
    page.emulate_media(color_scheme="dark")
    colours = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
    found += [f"dark: {line}" for line in violations(page, colours, exempt)]
    page.emulate_media(color_scheme="light")
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size({"width": 390, "height": 800})
    found += [f"390 px: {line}" for line in violations(page, {"runOnly": LAYOUT}, exempt)]
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > 390:
        found.append(f"390 px: the page is {width} px wide")
    page.set_viewport_size(size)
    return found


def violations(page: Page, options: dict[str, Any], exempt: set[str]) -> list[str]:
    # `preload` would read style sheets into the page, which the Content-Security-Policy refuses.
    options = {"resultTypes": ["violations"], "preload": False, **options}
    result = page.evaluate("(options) => axe.run(options)", options)
    return [
        f"{violation['id']} of {node['html'][:200]}: {node['failureSummary']}"
        for violation in result["violations"]
        if violation["id"] not in exempt
        for node in violation["nodes"][:5]
    ]
