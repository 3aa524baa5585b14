"""``make coverage``: run the tests, and write which modules they cover by less than 90 % to docs/coverage.md.

What runs inside of stacks (the API, the queue, the listener, the plugin in supervisord) is measured
too. Why a module is below is for people to say: what the page says of it is kept.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "docs/coverage.md"
GOAL = 90
UNSAID = "not said yet"

HEAD = """# Coverage

`make coverage` runs all tests and measures which statements they reach, also those that run inside of
stacks: the API, the queue, the event listener, and the plugin in supervisord. Processes that a test kills
with SIGKILL, or that become another program, can't report what they have run, so that it is missing here.

{total} % of all statements are reached. These modules are below {goal} %:

| Module | Covered | Why |
| --- | --- | --- |
"""


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="coverage-") as folder:
        os.environ["COVERAGE_FOLDER"] = folder
        tests = coverage("run", "-m", "pytest", *arguments)
        for step in (["combine", "-q"], ["json", "-q", "-o", f"{folder}/report.json"]):
            if code := coverage(*step):
                return code
        report = json.loads(Path(folder, "report.json").read_text())
    page = page_of(report, reasons(PAGE.read_text() if PAGE.exists() else ""))
    PAGE.write_text(page)
    print(page)
    return tests or page.count(UNSAID)


def coverage(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=PROJECT).returncode


def reasons(page: str) -> dict[str, str]:
    """What the page says of each module that it names."""
    return dict(re.findall(r"^\| `(.+?)` \| .+? \| (.+) \|$", page, re.M))


def page_of(report: dict, said: dict[str, str]) -> str:  # type: ignore[type-arg]
    covered = {name: file["summary"]["percent_covered"] for name, file in report["files"].items()}
    total = round(report["totals"]["percent_covered"])
    below = sorted((percent, name) for name, percent in covered.items() if percent < GOAL)
    rows = [f"| `{name}` | {percent:.0f} % | {said.get(name, UNSAID)} |\n" for percent, name in below]
    return HEAD.format(total=total, goal=GOAL) + "".join(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
