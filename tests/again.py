"""Run what has failed once more, with nothing beside it: ``python -m tests.again EXIT_CODE_OF_PYTEST``.

Several test processes share few processors, and some tests look at times. A test that passes alone has taken
a slow machine for a fault, or has shown a race: it is named, to be looked into, but the run is not lost.
More than a few failures are no accident.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

MOST = 3
_CACHE = Path(".pytest_cache/v/cache/lastfailed")
_TESTS_FAILED = 1  # of pytest's exit codes, the one that a test has caused


def main(code: int) -> int:
    """Return the exit code of a run that ended with ``code``, after a second try of its failures."""
    failed = sorted(json.loads(_CACHE.read_text())) if code == _TESTS_FAILED else []
    if not 0 < len(failed) <= MOST:
        return code
    _say("Failed beside other tests, tried again alone:", failed)
    again = subprocess.call([sys.executable, "-m", "pytest", *failed, "-p", "no:cacheprovider"])
    _say("Failed twice, at least one of:" if again else "Passed alone, and to be looked into:", failed)
    return again


def _say(heading: str, tests: Iterable[str]) -> None:
    print("\n".join(["", heading, *(f"  {test}" for test in tests)]), flush=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
