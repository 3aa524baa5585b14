"""The wheel: it holds what a clone runs, and serves from an environment in which there is nothing else."""

import hashlib
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
import requests

from hoody_daemon import __version__
from tests.stack import PROJECT, Stack, eventually, temporary_folder

pytest.importorskip("build", reason="the wheel is not built: see requirements-dev.txt")
pytest.importorskip("hatchling", reason="the wheel is not built: see requirements-dev.txt")
PACKAGES = ("daemon_programs", "daemonctl", "fleet", "hoody_daemon", "hoody_site", "quick_start")
STATIC = (
    "admin/css/base.css",
    "daemon_programs/console/main.js",
    "daemon_programs/vendor/uplot/uPlot.esm.js",
    "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css",
    "hoody_site/admin.css",
)


def run(*command: str | Path, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout  # type: ignore[no-any-return]


def build(folder: Path, *options: str) -> Path:
    """Build the wheel with the packages of this environment, and return it."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, *options, PROJECT)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the source distribution, as `python -m build` makes it."""
    return build(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that any user can read."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def environment(wheel: Path, folder: Path) -> Path:
    """A virtual environment with the wheel. Its dependencies are those of the tests: no network is needed."""
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    packages = environment / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    installed = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(installed))
    pip = (sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", "--disable-pip-version-check", wheel)
    return environment


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"hoody_daemon-{__version__}.dist-info/METADATA"))


def contents(wheel: Path) -> dict[str, str]:
    """The digest of each file."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def files_below(folder: Path) -> dict[Path, int]:
    """When each file was written."""
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def test_wheel_holds_each_file_of_the_packages_and_no_other(wheel: Path) -> None:
    held = {name for name in contents(wheel) if ".dist-info/" not in name}
    held = {name.replace("hoody_daemon/fixtures/", "fixtures/") for name in held}
    folders = (*PACKAGES, "fixtures")
    files = {path for folder in folders for path in (PROJECT / folder).rglob("*") if path.is_file()}
    assert held == {str(path.relative_to(PROJECT)) for path in files if path.suffix != ".pyc"}


def test_wheel_of_the_clone_is_that_of_the_source_distribution(wheel: Path, tmp_path: Path) -> None:
    assert contents(build(tmp_path, "--wheel")) == contents(wheel)


def test_wheel_requires_what_the_project_names(wheel: Path) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    from packaging.requirements import Requirement

    required = map(Requirement, metadata(wheel).get_all("Requires-Dist", ()))
    assert {each for each in required if not each.marker} == set(map(Requirement, project["dependencies"]))


def test_wheel_has_the_version(wheel: Path) -> None:
    assert wheel.name == f"hoody_daemon-{__version__}-py3-none-any.whl"
    assert metadata(wheel)["Version"] == __version__


def test_installed_wheel_runs_programs_and_writes_into_its_state_folder_only(
    environment: Path, folder: Path
) -> None:
    """Of a user without DAEMON_STATE_DIR; the default of root is that of the host."""
    current, home = folder / "current", folder / "home"
    current.mkdir()
    stack = Stack(home / "hoody-daemon", XDG_STATE_HOME=str(home))
    if os.geteuid() != 0:
        stack.environment["DAEMON_STATE_DIR"] = ""
    stack.output = folder / "output"
    stack.project = current  # type: ignore[misc]
    stack.command = [str(environment / "bin" / "hoody-daemon"), "run"]
    before = files_below(environment)

    def command(name: str, *arguments: str) -> str:
        return run(environment / "bin" / name, *arguments, cwd=current, env=stack.env)

    try:
        stack.start()
        command("daemonctl", "add", "web", "--dir", "/", "--", "sleep", "1000")
        command("daemonctl", "start", "web")
        assert " running " in command("daemonctl", "status", "web")
        for file in STATIC:
            assert requests.get(f"{stack.url}/static/{file}", timeout=10).ok, file
        assert f"version: {__version__}\n" in requests.get(f"{stack.url}/api/schema/", timeout=30).text
        assert command("hoody-daemon", "reconcile") == "No differences found.\n"
        assert stack.stop() == 0
        assert eventually(lambda: not stack.processes(), what="nothing is left")
    finally:
        stack.destroy()
    assert list(current.iterdir()) == []
    assert [path.name for path in home.iterdir()] == ["hoody-daemon"]
    assert files_below(environment) == before


def test_installed_commands_say_the_version(environment: Path) -> None:
    for name in ("hoody-daemon", "daemonctl"):
        assert run(environment / "bin" / name, "--version", cwd="/") == f"{name} {__version__}\n"
