"""A long list of programs, and one action for most of them. It prints what it takes (`pytest -s`)."""

import json
import os
import signal
import time
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.admin_client import PROGRAMS, create_users
from tests.console.chromium import open_page
from tests.drills import ROUNDS
from tests.stack import OWN_USER, Stack

LIST = f"/admin/{PROGRAMS}"
ENABLED, ALL = (600, 1000) if ROUNDS > 1 else (150, 250)
# What a busy machine may add to what was measured on an idle one: see docs/console.md.
PATIENCE_MILLISECONDS = 120_000


def fill(stack: Stack, folder: Path) -> None:
    """Import the programs, of which some are enabled."""
    programs = [
        {"name": f"p{number:04}", "command": "sleep 10000", "user": OWN_USER, "enabled": number < ENABLED}
        for number in range(ALL)
    ]
    file = folder / "programs.json"
    file.write_text(json.dumps(programs))
    done = stack.manage("import_programs", str(file))
    assert done.returncode == 0, done.stderr


def test_many_programs_are_listed_and_started_at_once(
    browser: Browser, own_stack: Stack, tmp_path: Path
) -> None:
    own_stack.start()
    create_users(own_stack)
    fill(own_stack, tmp_path)
    with open_page(browser, own_stack) as page:
        began = time.monotonic()
        page.goto(LIST, wait_until="load")
        page.get_by_role("button", name="Go").focus()
        print(f"\n{ALL} programs are listed after {time.monotonic() - began:.2f} s")
        expect(page.locator("html[data-connection=open]")).to_have_count(1)

        page.check("#action-toggle")
        page.get_by_text(f"Select all {ALL} programs").click()
        page.select_option("select[name=action]", "start")
        began = time.monotonic()
        page.get_by_role("button", name="Go").click()
        summary = page.locator(".messagelist .batch-summary")
        expect(summary).to_have_text(
            f"{ENABLED} started, {ALL - ENABLED} skipped: disabled", timeout=PATIENCE_MILLISECONDS
        )
        print(f"{ENABLED} programs are started after {time.monotonic() - began:.1f} s")
        expect(page.locator(".messagelist > li")).to_have_count(1)

        page.goto(f"{LIST}?q=p0001")
        row = page.locator("#result_list tbody tr")
        expect(row.locator(".state")).to_have_text("running", timeout=PATIENCE_MILLISECONDS)
        expect(page.locator("html[data-connection=open]")).to_have_count(1)
        id = own_stack.api.get("programs", name="p0001").json()["programs"][0]["id"]
        pid = own_stack.api.pid(id)
        assert pid is not None
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        expect(row.locator(".state")).not_to_have_text("running")
        print(f"a crash among {ALL} is seen after {time.monotonic() - killed:.2f} s")
    assert own_stack.stop() == 0
