"""Check that the version tags of the present commit name its version: `make lint`.

A release is a tag: one that names another version, or a version that the changelog lacks, is noticed before
it is pushed. Only the clone is asked, not the network.
"""

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def tags() -> list[str]:
    """Return the version tags of the present commit; none of a copy without git."""
    command = ["git", f"--git-dir={PROJECT / '.git'}", "tag", "--points-at", "HEAD", "--list", "v[0-9]*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split()


def problems(tag: str) -> list[str]:
    """Return what is wrong with a tag."""
    code = (PROJECT / "hoody_daemon" / "__init__.py").read_text()
    [version] = re.findall(r'^__version__ = "(.+)"$', code, re.MULTILINE)
    found = []
    if tag != f"v{version}":
        found.append(f"The tag {tag} is not that of the version, {version} (hoody_daemon/__init__.py)")
    if not re.search(rf"^## \[{re.escape(version)}\]", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE):
        found.append(f"The tag {tag} has no section [{version}] in CHANGELOG.md")
    return found


if __name__ == "__main__":
    sys.exit("\n".join(sentence for tag in tags() for sentence in problems(tag)) or 0)
