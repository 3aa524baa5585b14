"""Take the pictures: each page in light and in dark mode, as small files."""

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.stack import PROJECT

FOLDER = PROJECT / "docs" / "images"
_SIZE = {"width": 1280, "height": 800}
# What fills a page after it has loaded: charts, the lines of a log.
_FILLED_MILLISECONDS = 3000


def take(browser: Browser, url: str, log_in: tuple[str, str], ids: dict[str, int]) -> Iterator[Path]:
    """Yield the files, each after it was written."""
    FOLDER.mkdir(exist_ok=True)
    program = f"/admin/daemon_programs/program/{ids['web']}"
    pages = {
        "overview": "/admin/",
        "programs": "/admin/daemon_programs/program/",
        "program": f"{program}/change/",
        "log": f"{program}/log/",
    }
    page = browser.new_page(base_url=url, viewport=_SIZE, reduced_motion="reduce")
    _log_in(page, *log_in)
    for name, address in pages.items():
        response = page.goto(address)
        if response is None or not response.ok or not page.url.endswith(address):
            continue  # this version has no such page
        for mode in ("light", "dark"):
            page.emulate_media(color_scheme=mode)
            page.wait_for_timeout(_FILLED_MILLISECONDS)
            yield _save(page, f"{name}-{mode}.png")
        page.emulate_media(color_scheme="light")
    page.close()


def _log_in(page: Page, name: str, password: str) -> None:
    page.goto("/admin/")
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#site-name")).to_be_visible()
    # The pages fold their list of models away, as people who know them do.
    page.evaluate("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")


def _save(page: Page, name: str) -> Path:
    """Save what the page shows with 256 colours, a third of the size."""
    file = FOLDER / name
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    return file
