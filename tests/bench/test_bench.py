"""The benchmark itself: it measures and reports all contenders, and cleans up. Figures are not checked."""

import contextlib
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

from tests.bench import document, options, peers
from tests.bench.figures import FLOORS, SECTIONS, WHOLE
from tests.bench.sides import CHOICES, OURS
from tests.stack import PROJECT, eventually

WITHOUT_PEERS = ["--contenders", "ours,xmlrpc,supervisorctl"]


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
    """Files, and processes that were started with a path in the folder, or with it in their environment."""
    found: list[object] = list(folder.iterdir())
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(folder) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(process)
    return found


def cells(output: str) -> set[tuple[str, str]]:
    """The first two cells of each line of the tables."""
    rows = [line.split("|")[1:3] for line in output.splitlines() if line.startswith("| ")]
    return {(title.strip(), name.strip()) for title, name in rows}


@pytest.mark.stack
def test_every_row_of_every_contender_is_measured(temporary: Path) -> None:
    before = document.DOCUMENT.read_bytes()
    running = bench(temporary, "--rounds", "1", "--sizes", "1", "--idle", "1", "--load", "1", *WITHOUT_PEERS)
    output, progress = running.communicate(timeout=400)
    assert running.returncode == 0, progress
    assert progress.startswith("this takes up to about ")
    found = cells(output)
    for section, figures in SECTIONS.items():
        for figure in figures:
            assert (figure.title, "floor" if section == FLOORS else OURS) in found
    for name in (CHOICES["xmlrpc"], CHOICES["supervisorctl"]):
        for title in ("add + start", "list with status", "status of one", "restart", "stop + remove"):
            assert (title, name) in found
    for figure in SECTIONS[WHOLE]:
        assert (figure.title, "supervisord") in found
    assert "failed" not in output, output
    assert left_in(temporary) == []
    assert document.DOCUMENT.read_bytes() == before, "without --write nothing is written"


@pytest.mark.skipif(not peers.are_installed(), reason="no benchmark has installed the peers")
def test_peers_are_measured_and_leave_nothing_behind(temporary: Path) -> None:
    rows = "add,list,status,one,restart,event,remove,boot,stop,memory"
    contenders = ["pm2", "pm2-cli", "circus", "circusctl"]
    arguments = ["--rounds", "1", "--sizes", "1", "--rows", rows, "--contenders", ",".join(contenders)]
    running = bench(temporary, *arguments)
    output, progress = running.communicate(timeout=240)
    assert running.returncode == 0, progress
    assert {("add + start", CHOICES[key]) for key in contenders} <= cells(output)
    assert {("boot until the last runs, s", name) for name in ("pm2", "circus")} <= cells(output)
    assert "failed" not in output, output
    assert left_in(temporary) == []


@pytest.mark.stack
@pytest.mark.parametrize(
    ("signum", "at"),
    [(signal.SIGINT, "1 programs: round 1 "), (signal.SIGTERM, "1 programs: setting up this")],
)
def test_interrupted_benchmark_leaves_nothing_behind(temporary: Path, signum: int, at: str) -> None:
    running = bench(temporary, "--sizes", "1", "--rows", "add,list,remove", *WITHOUT_PEERS)
    assert running.stderr is not None
    for line in running.stderr:
        if line.startswith(at):
            break
    eventually(lambda: left_in(temporary), what="it is at work")
    running.send_signal(signum)
    output, progress = running.communicate(timeout=120)
    assert running.returncode == 130, progress
    assert output == ""
    eventually(lambda: left_in(temporary) == [], what="everything is gone")


def test_a_new_table_takes_the_place_of_the_last_one(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(document.DOCUMENT, temporary)
    monkeypatch.setattr(document, "DOCUMENT", temporary / document.DOCUMENT.name)
    before = document.DOCUMENT.read_text()
    document.write("one table")
    document.write("another table")
    after = document.DOCUMENT.read_text()
    assert "\nanother table\n" in after
    assert "one table\n" not in after
    assert after.splitlines()[0] == before.splitlines()[0]
    assert after.splitlines()[-1] == before.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--rounds", "0"],
        ["--sizes", "-1"],
        ["--sizes", "x"],
        ["--rows", "add,nothing"],
        ["--contenders", "nobody"],
        ["--against", "/"],
        ["--write", "--against", str(PROJECT)],
    ],
)
def test_a_mistyped_option_is_refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.bench", *arguments])
    with pytest.raises(SystemExit) as refused:
        options.parse()
    assert refused.value.code == 2
    assert arguments[0] in capsys.readouterr().err
