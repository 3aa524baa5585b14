"""``python -m tests.screenshots``: write pictures of a scene on a stack of its own."""

import time

from playwright.sync_api import sync_playwright

from tests.console.chromium import ARGUMENTS, CHROMIUM
from tests.screenshots import pictures, scene
from tests.stack import temporary_stack

# So that charts have lines, a program has crashed often, and another is found to be unhealthy.
_LIVED_SECONDS = 75


def main() -> None:
    if CHROMIUM is None:
        raise SystemExit("no chromium: on Debian, apt install chromium")
    with temporary_stack() as stack:
        stack.start()
        log_in = scene.administrator(stack)
        began = time.monotonic()
        with scene.programs(stack.api) as ids, sync_playwright() as playwright:
            time.sleep(max(_LIVED_SECONDS - (time.monotonic() - began), 0))
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for file in pictures.take(browser, f"http://{stack.admin_host}", log_in, ids):
                print(f"{file.name}: {file.stat().st_size // 1000} kB")
            browser.close()


if __name__ == "__main__":
    main()
