"""Fixtures: one browser and one stack for each file, and a page of the administrator's for each test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.console.chromium import ARGUMENTS, CHROMIUM, open_page
from tests.stack import Stack


# Not for the whole session: while Playwright runs, Django takes this thread for one of asyncio.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium: on Debian, apt install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, staffed: Stack) -> Iterator[Page]:
    with open_page(browser, staffed) as page:
        yield page
