"""A tag that is not that of the version is noticed, without the network."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import PROJECT


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "tag.gpgSign=false")
    subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, timeout=60)


def check(folder: Path) -> str:
    """What the check prints; nothing if it finds nothing."""
    command = [sys.executable, folder / ".ci" / "release.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == (1 if done.stderr else 0)
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the version 1.2.0, with a commit."""
    for folder in (".ci", "hoody_daemon"):
        (tmp_path / folder).mkdir()
    shutil.copy(PROJECT / ".ci" / "release.py", tmp_path / ".ci")
    (tmp_path / "hoody_daemon" / "__init__.py").write_text('"""A package."""\n\n__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "Release 1.2.0")
    return tmp_path


@pytest.mark.parametrize("tag", ["v1.2.0", "before-the-move", "vendor"])
def test_tag_of_the_version_and_tags_of_something_else_are_fine(clone: Path, tag: str) -> None:
    git(clone, "tag", tag)
    assert check(clone) == ""


@pytest.mark.parametrize("tag", ["v1.2.1", "v1.2", "v1.2.0-rc1"])
def test_tag_of_another_version_is_noticed(clone: Path, tag: str) -> None:
    git(clone, "tag", tag)
    assert check(clone) == (f"The tag {tag} is not that of the version, 1.2.0 (hoody_daemon/__init__.py)\n")


def test_tag_without_a_section_in_the_changelog_is_noticed(clone: Path) -> None:
    (clone / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    git(clone, "tag", "v1.2.0")
    assert check(clone) == "The tag v1.2.0 has no section [1.2.0] in CHANGELOG.md\n"


def test_tags_of_other_commits_do_not_matter(clone: Path) -> None:
    git(clone, "tag", "v1.1.0")
    git(clone, "commit", "-q", "--allow-empty", "-m", "Go on")
    assert check(clone) == ""


def test_copy_without_git_has_no_tags(clone: Path) -> None:
    shutil.rmtree(clone / ".git")
    assert check(clone) == ""
