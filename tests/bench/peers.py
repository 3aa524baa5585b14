"""Install the peers that the benchmark compares with, for it alone: into ``.bench/``, in pinned versions."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / ".bench"
_CIRCUS = ("circus==0.19.0", "psutil==7.2.2", "pyzmq==27.3.0", "tornado==6.6.1")
_PM2 = "pm2@7.0.4"
VERSIONS = {"pm2": _PM2.replace("@", " "), "circus": _CIRCUS[0].replace("==", " ")}
_INSTALL_SECONDS = 240
_COMPLETE = ".complete"


class Missing(Exception):
    """A peer can't be installed here, for the reason that the sentence says."""


class Pm2(NamedTuple):
    node: str
    module: Path


class Circus(NamedTuple):
    folder: Path

    @property
    def python(self) -> str:
        return self.tool("python")

    def tool(self, name: str) -> str:
        return str(self.folder / "bin" / name)


def are_installed() -> bool:
    """Return whether a run before has installed them all."""
    return all((FOLDER / name / _COMPLETE).exists() for name in (_PM2, _CIRCUS[0]))


def pm2() -> Pm2:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Missing("node and npm are not installed")
    folder = FOLDER / _PM2
    options = ["--no-fund", "--no-audit", "--ignore-scripts", "--loglevel", "error"]
    _install(folder, lambda made: _run(npm, "install", "--prefix", str(made), *options, _PM2))
    return Pm2(node, folder / "node_modules" / "pm2")


def circus() -> Circus:
    folder = FOLDER / _CIRCUS[0]

    def make(made: Path) -> None:
        _run(sys.executable, "-m", "venv", str(made))
        _run(str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", *_CIRCUS)

    _install(folder, make)
    return Circus(folder)


def _install(folder: Path, make: Callable[[Path], None]) -> None:
    """Make the folder, unless a run before has made it completely."""
    complete = folder / _COMPLETE
    if complete.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        make(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    complete.touch()


def _run(*command: str) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Missing(f"{Path(command[0]).name}: {problem}") from problem
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["failed"]
        raise Missing(f"it can't be installed: {lines[-1]}")
