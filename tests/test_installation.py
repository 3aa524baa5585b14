"""The version and the state folder of an installation, on which the daemon and its command line agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from daemonctl.contexts import find
from daemonctl.problems import Unreachable
from hoody_daemon import __version__, installation
from hoody_daemon.__main__ import _HELP, main
from tests.stack import PROJECT

INTERNAL = {"listen_events", "run_queue"}  # which supervisord runs
SAME = {"run_stack"}  # as `run`


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An installation of a normal user, without settings."""
    monkeypatch.setattr(installation, "PROJECT", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    return monkeypatch


def test_state_of_a_clone_is_in_the_clone() -> None:
    assert installation.default_state_folder() == PROJECT / "var"
    assert installation.command() == "manage.py"


def test_state_of_a_user_is_in_the_home(installed: pytest.MonkeyPatch) -> None:
    assert installation.default_state_folder() == Path("/home/me/.local/state/hoody-daemon")
    assert installation.command() == "hoody-daemon"


def test_state_of_a_user_is_where_the_user_keeps_it(installed: pytest.MonkeyPatch) -> None:
    installed.setenv("XDG_STATE_HOME", "/srv/state")
    assert installation.default_state_folder() == Path("/srv/state/hoody-daemon")


def test_relative_folder_of_states_is_ignored(installed: pytest.MonkeyPatch) -> None:
    """As its specification demands."""
    installed.setenv("XDG_STATE_HOME", "state")
    assert installation.default_state_folder() == Path("/home/me/.local/state/hoody-daemon")


@pytest.mark.parametrize("variable", ["HOME", "XDG_STATE_HOME"])
def test_state_of_root_is_that_of_the_host(installed: pytest.MonkeyPatch, variable: str) -> None:
    installed.setattr(os, "geteuid", lambda: 0)
    installed.setenv(variable, "/root/state")
    assert installation.default_state_folder() == Path("/var/lib/hoody-daemon")


def test_user_without_a_home_is_not_in_the_way_of_a_sentence(installed: pytest.MonkeyPatch) -> None:
    installed.delenv("HOME")
    installed.setattr("pwd.getpwuid", lambda uid: {}[uid])
    assert installation.default_state_folder() == Path("/var/lib/hoody-daemon")


def test_command_line_looks_where_the_daemon_does(installed: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed.delenv("DAEMON_STATE_DIR")
    installed.setenv("XDG_CONFIG_HOME", str(tmp_path))
    installed.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(Unreachable, match=f"There is no stack in {tmp_path}/hoody-daemon"):
        find(None)
    (tmp_path / "hoody-daemon").mkdir()
    (tmp_path / "hoody-daemon" / "api-token").write_text("hdt_token\n")
    assert find(None).token == "hdt_token"


def test_version_is_told_by_the_document_and_both_commands() -> None:
    assert yaml.safe_load((PROJECT / "docs" / "openapi.yaml").read_text())["info"]["version"] == __version__
    for module, name in (("hoody_daemon", "hoody-daemon"), ("daemonctl", "daemonctl")):
        command = [sys.executable, "-m", module, "--version"]
        told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
        assert told.stdout == f"{name} {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"]])
@pytest.mark.parametrize(("script", "name"), [("/opt/x/bin/hoody-daemon", "hoody-daemon"),
                                              ("/x/hoody_daemon/__main__.py", "hoody-daemon"),
                                              ("manage.py", "manage.py")])  # fmt: skip
def test_help_names_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, name: str,
    arguments: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    main()
    assert capsys.readouterr().out.startswith(f"Usage: {name} COMMAND [OPTIONS]\n")


def test_help_lists_our_commands_and_no_other() -> None:
    listed = {line.split()[0] for line in _HELP.splitlines() if line.startswith("  ")}
    own = ("hoody_site", "daemon_programs", "quick_start", "fleet")
    ours = {name for name, app in get_commands().items() if app in own}
    assert listed >= ours - INTERNAL - SAME
    assert listed <= {"run", *get_commands()}


def test_run_has_its_own_help() -> None:
    command = [sys.executable, "-m", "hoody_daemon", "run", "--help"]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert told.stdout.startswith("usage: hoody-daemon run [-h]")
