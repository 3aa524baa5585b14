"""Stacks end with the pytest that started them, however that ends."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.stack import PROJECT, eventually

pytestmark = pytest.mark.stack  # started by a pytest of its own

ENDS = {
    "pytest is asked to end": ([], signal.SIGTERM, "pytest"),
    "pytest is killed": ([], signal.SIGKILL, "pytest"),
    "worker is killed": (["-n", "1", "--max-worker-restart=0"], signal.SIGKILL, "worker"),
    "pytest with workers is killed": (["-n", "1"], signal.SIGKILL, "pytest"),
}


@dataclass(frozen=True)
class Scene:
    """A pytest of its own, with a test that goes on and on once its stack and its programs run."""

    process: subprocess.Popen[bytes]
    report: Path
    output: Path

    def folder(self) -> Path:
        def report() -> Path | None:
            assert self.process.poll() is None, self.output.read_text()
            return self.report.exists() and self.report.read_text() and Path(self.report.read_text())

        return eventually(report, 120, "the programs run")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    running = {}
    for name, (options, _, _) in ENDS.items():
        folder = tmp_path_factory.mktemp("scene")
        report, output = folder / "report", folder / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "tests/abandoned.py"],
                cwd=PROJECT,
                env={**_environment(), "REPORT": str(report)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        running[name] = Scene(process, report, output)
    yield running
    for scene in running.values():
        scene.process.kill()
        scene.process.wait()


def _environment() -> dict[str, str]:
    """Not what xdist has told this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left(scenes: dict[str, Scene], end: str) -> None:
    _, number, target = ENDS[end]
    scene = scenes[end]
    state = scene.folder()
    supervisord = psutil.Process(int((state / "supervisord.pid").read_text()))
    pytest_itself = psutil.Process(scene.process.pid)
    family = [supervisord, *supervisord.children(recursive=True)]
    assert len(family) >= 9, "supervisord, the API, the queue, the listener and what the test has started"
    worker = supervisord.parent()
    assert (worker == pytest_itself) is ("-n" not in ENDS[end][0])

    os.kill(pytest_itself.pid if target == "pytest" else worker.pid, number)

    eventually(lambda: [each for each in family if _lives(each)] == [], 30, "all have ended")
    eventually(lambda: not state.parent.exists(), 10, "the folder is removed")
    eventually(lambda: not _lives(worker), 10, "the worker has ended")
    assert scene.process.wait(30) != 0
    eventually(lambda: _that_knows(state) == [], 10, "no process knows the folder any more")


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _that_knows(state: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(state.parent) in value for value in process.environ().values()):
                found.append(process)
    return found
