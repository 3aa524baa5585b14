"""Check the pinned requirements for known vulnerabilities with pip-audit: `make audit`.

Only findings fail the check. If the vulnerability data can't be reached, the check is skipped: the network is
not a property of the code.
"""

import json
import subprocess
import sys
from pathlib import Path

FILES = ("requirements.txt", "requirements-dev.txt")


def main() -> int:
    """Print the findings, and return the exit code."""
    audit = Path(sys.executable).with_name("pip-audit")
    files = [option for file in FILES for option in ("-r", file)]
    done = subprocess.run(
        [audit, "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json", *files],
        capture_output=True,
        text=True,
        check=False,  # the exit code is the same for findings and for a missing network
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"Not audited, the data on vulnerabilities can't be reached: {last}")
        return 0
    skipped = [package for package in packages if "skip_reason" in package]
    found = [(package, finding) for package in packages for finding in package.get("vulns", ())]
    for package, finding in found:
        fixed = ", ".join(finding["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {finding['id']}, fixed in {fixed}")
    print(f"{len(packages)} packages, {len(skipped)} of them could not be audited, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
