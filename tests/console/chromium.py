"""Chromium, driven by Playwright, and pages whose problems fail the test that opens them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import requests
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect

from tests.admin_client import PASSWORD
from tests.stack import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]

# What a page shows follows real processes, which take their time on a loaded machine: how quick a page is
# is measured where it matters, and never by this limit.
expect.set_options(timeout=30_000)

# The cookies of people who have logged in: to log in again takes longer than many a test.
_SESSIONS: WeakKeyDictionary[Stack, dict[str, Any]] = WeakKeyDictionary()


@contextmanager
def open_page(
    browser: Browser,
    stack: Stack,
    person: str | None = "boss",
    *,
    forgiven: str | None = None,
    **options: Any,
) -> Iterator[Page]:
    """A page of a person who has logged in, wherever that has led; of a stranger without one.

    Errors of scripts, violations of the Content-Security-Policy, and requests to other hosts fail the test;
    not those of an address that contains ``forgiven``, nor that a page itself answers with an error.
    """
    size = {"width": 1280, "height": 900}
    page = browser.new_page(base_url=f"http://{stack.admin_host}", **{"viewport": size, **options})
    page.set_default_timeout(30_000)
    problems: list[str] = []
    logged: list[tuple[str, str]] = []
    refused: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            logged.append((message.location["url"], message.text))

    def look(response: Response) -> None:
        if response.request.is_navigation_request() and not response.ok:
            refused.add(response.url)

    page.on("console", note)
    page.on("response", look)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.extend(_elsewhere(request.url, stack)))
    if person is not None:
        log_in(page, stack, person)
    try:
        yield page
    finally:
        page.close()
    problems += [
        f"{url}: {text}"
        for url, text in logged
        if url not in refused and (forgiven is None or forgiven not in url)
    ]
    assert not problems, "\n".join(problems)


def log_in(page: Page, stack: Stack, person: str) -> None:
    """Log in with the form, or go on with the session of an earlier test while it is valid."""
    sessions = _SESSIONS.setdefault(stack, {})
    if person in sessions:
        page.context.add_cookies(sessions[person])
        if _is_valid(sessions[person], stack):
            return
    page.goto("/admin/")
    page.fill("#id_username", person)
    page.fill("#id_password", PASSWORD)
    page.click("text=Log in")
    expect(page.locator("#site-name")).to_have_text("Daemon API")
    sessions[person] = [dict(cookie) for cookie in page.context.cookies()]


def _is_valid(cookies: list[Any], stack: Stack) -> bool:
    """Return whether the session of some cookies is open. The browser would only find out by a page."""
    answer = requests.get(
        f"http://127.0.0.1:{stack.port}/admin/password_change/",
        headers={"Host": stack.admin_host},
        cookies={cookie["name"]: cookie["value"] for cookie in cookies},
        allow_redirects=False,
        timeout=60,
    )
    return answer.status_code == 200


def _elsewhere(url: str, stack: Stack) -> list[str]:
    parts = urlsplit(url)
    return [url] if parts.scheme not in ("data", "blob") and parts.netloc != stack.admin_host else []
