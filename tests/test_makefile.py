"""``make run``: the environment is made where it is missing, and again where it can't work any more."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack import PROJECT

AGAIN = "it is made again"


def project(folder: Path) -> Path:
    """The Makefile with a project that needs nothing, and only says that it runs."""
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(PROJECT / "Makefile", folder)
    shutil.copy(PROJECT / ".ci" / "is_current.py", folder / ".ci")
    (folder / "requirements.txt").touch()
    (folder / "manage.py").write_text("import sys\nprint('runs in', sys.prefix)\n")
    return folder


def make(folder: Path, code: int = 0, python: object = None) -> str:
    command = ["make", "run", f"PYTHON={python or sys._base_executable}"]  # type: ignore[attr-defined]
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of `make test`
    ran = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, timeout=120)
    assert (ran.returncode != 0) == (code != 0), ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose environment was made."""
    folder = project(tmp_path_factory.mktemp("made") / "project")
    assert f"runs in {folder}/.venv" in make(folder)
    return folder


# To make an environment takes seconds.
COPYING = """#!/bin/sh
[ "$1 $2" = "-m venv" ] || exec {python} "$@"
cp -a {made}/.venv "$3" && rm "$3"/.installed "$3"/bin/daemonctl && sed -i "s#{made}#$PWD#" "$3"/bin/pip*
"""


@pytest.fixture(scope="module")
def copying(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that makes environments as copies of one that was made."""
    file = tmp_path_factory.mktemp("copying") / "python"
    file.write_text(COPYING.format(python=sys._base_executable, made=made))  # type: ignore[attr-defined]
    file.chmod(0o755)
    return file


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """The same environment, made at the place where it is."""
    folder = tmp_path / "project"
    shutil.copytree(made, folder, symlinks=True)
    pip = folder / ".venv" / "bin" / "pip"
    pip.write_text(pip.read_text().replace(str(made), str(folder)))
    return folder


def test_environment_is_made_once(copied: Path) -> None:
    assert make(copied) == f"runs in {copied}/.venv\n"


def test_command_line_is_installed_beside_python(copied: Path) -> None:
    for package in ("daemonctl", "hoody_daemon"):
        shutil.copytree(PROJECT / package, copied / package)
    launcher = copied / ".venv" / "bin" / "daemonctl"
    interpreter, *code = launcher.read_text().splitlines()
    assert interpreter.endswith("/.venv/bin/python")
    assert os.access(launcher, os.X_OK)
    # The copy's packages are those of the tests: its own environment has none.
    launcher.write_text("\n".join([f"#!{sys.executable}", *code]).replace(str(_made_of(code)), str(copied)))
    shown = subprocess.run([launcher, "--help"], cwd="/", capture_output=True, text=True, timeout=60)
    assert shown.stdout.startswith("Usage: daemonctl "), shown.stderr


def _made_of(code: list[str]) -> str:
    """The folder that the launcher imports from."""
    return code[1].split('"')[1]


def moved(folder: Path) -> Path:
    return folder.rename(folder.with_name("moved"))


def of_another_python(folder: Path) -> Path:
    """The system's Python is another version now, as after an upgrade of the distribution."""
    [packages] = (folder / ".venv" / "lib").iterdir()
    packages.rename(packages.with_name("python3.2"))
    return folder


def without_its_python(folder: Path) -> Path:
    python = folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.2")
    return folder


@pytest.mark.parametrize("change", [moved, of_another_python, without_its_python])
def test_environment_that_cannot_work_is_made_again(
    copied: Path, copying: Path, change: Callable[[Path], Path]
) -> None:
    folder = change(copied)
    printed = make(folder, python=copying)
    assert AGAIN in printed
    assert f"runs in {folder}/.venv" in printed
    assert make(folder) == f"runs in {folder}/.venv\n"


def test_copy_of_a_project_gets_its_own(made: Path, copying: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made, folder, symlinks=True)
    assert AGAIN in make(folder, python=copying)
    assert make(made) == f"runs in {made}/.venv\n"


@pytest.mark.parametrize("name", ["with space", "with,comma", "50%", "it's", "semi;colon", "sharp#"])
def test_path_that_cannot_work_is_refused_before_the_installation(tmp_path: Path, name: str) -> None:
    folder = project(tmp_path / name)
    assert make(folder, code=1) == (
        f"The project can't be in {folder}: use a path without white space, quotes, backslashes, commas and "
        "% ; #\n"
    )
    assert not (folder / ".venv").exists()
