"""The benchmark itself: it measures and reports all contenders, and cleans up. Figures are not checked."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.bench import report
from tests.bench.contenders import DaemonApi, Supervisorctl, XmlRpc
from tests.bench.measure import OPERATIONS
from tests.stack import PROJECT, eventually


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A temporary folder for the benchmark alone; its path is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    yield folder
    shutil.rmtree(folder)


def bench(temporary: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_in(folder: Path) -> list[object]:
    """Files, and processes that were started with a path in the folder."""
    arguments = (" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
    return [*folder.iterdir(), *(each for each in arguments if str(folder) in each)]


@pytest.mark.stack
def test_every_operation_of_every_contender_is_measured(temporary: Path) -> None:
    document = report.DOCUMENT.read_bytes()
    running = bench(temporary, "--rounds", "1", "--sizes", "0,1")
    output, progress = running.communicate(timeout=240)
    assert running.returncode == 0, progress
    rows = [line.split("|")[1:3] for line in output.splitlines() if line.startswith("| ")]
    for operation in OPERATIONS:
        for contender in (DaemonApi, XmlRpc, Supervisorctl):
            assert [operation, contender.name] in [[cell.strip() for cell in row] for row in rows]
    assert left_in(temporary) == []
    assert report.DOCUMENT.read_bytes() == document, "without --write nothing is written"


@pytest.mark.stack
def test_interrupted_benchmark_leaves_nothing_behind(temporary: Path) -> None:
    running = bench(temporary, "--sizes", "1")
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith("round 1 "):
            break
    assert left_in(temporary), "it is at work"
    running.send_signal(signal.SIGINT)
    output, progress = running.communicate(timeout=120)
    assert running.returncode == 130, progress
    assert output == ""
    eventually(lambda: left_in(temporary) == [], what="everything is gone")


def test_a_new_table_takes_the_place_of_the_last_one(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(report.DOCUMENT, temporary)
    monkeypatch.setattr(report, "DOCUMENT", temporary / report.DOCUMENT.name)
    before = report.DOCUMENT.read_text()
    report.write("one table\n")
    report.write("another table\n")
    after = report.DOCUMENT.read_text()
    assert "\nanother table\n" in after
    assert "one table\n" not in after
    assert after.splitlines()[0] == before.splitlines()[0]
    assert after.splitlines()[-1] == before.splitlines()[-1]


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--sizes", "-1"], ["--sizes", "x"]])
def test_a_mistyped_option_is_refused(temporary: Path, arguments: list[str]) -> None:
    running = bench(temporary, *arguments)
    _, problem = running.communicate(timeout=60)
    assert running.returncode == 2
    assert arguments[0] in problem
