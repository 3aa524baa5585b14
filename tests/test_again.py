"""What has failed beside other tests runs once more alone; what fails twice fails."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.again import MOST
from tests.stack import PROJECT

FAILS = "def test_{}():\n    assert False\n"
FAILS_ONCE = """
from pathlib import Path

def test_once():
    tried = Path(__file__).with_name("tried")
    assert tried.exists() or tried.touch()
"""


def run(folder: Path, content: str) -> tuple[int, str]:
    """Run a file of tests as ``make unit`` does; return the exit code and what the second try printed."""
    folder.joinpath("test_it.py").write_text(content)

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", *arguments]
        environment = {"PYTHONPATH": str(PROJECT)}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    code = python("pytest", "-q", "test_it.py").returncode
    again = python("tests.again", str(code))
    return again.returncode, again.stdout


def test_a_test_that_passes_alone_is_named(tmp_path: Path) -> None:
    code, printed = run(tmp_path, FAILS_ONCE)
    assert code == 0
    assert "Passed alone, and to be looked into:\n  test_it.py::test_once" in printed


@pytest.mark.parametrize("number", [1, MOST, MOST + 1])
def test_what_fails_twice_fails(tmp_path: Path, number: int) -> None:
    code, printed = run(tmp_path, "".join(FAILS.format(each) for each in range(number)))
    assert code == 1
    assert ("Failed twice" in printed) == (number <= MOST)


def test_tests_that_cannot_run_are_not_repeated(tmp_path: Path) -> None:
    assert run(tmp_path, "import nothing_of_this_name") == (2, "")
