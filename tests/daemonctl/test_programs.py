"""Programs by selectors: what they do, what is shown of them, and the exit codes."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.daemonctl.conftest import Ctl, Open
from tests.processes import shell
from tests.stack import PROJECT, Api, Stack, eventually


def test_it_imports_no_django() -> None:
    code = (
        "import sys, pkgutil, importlib, daemonctl.cli, daemonctl.commands as c\n"
        "[importlib.import_module(f'{c.__name__}.{m.name}') for m in pkgutil.iter_modules(c.__path__)]\n"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('django', 'rest_framework', 'hoody_site', 'daemon_programs', 'quick_start')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True)
    assert ran.stdout == "[]\n", ran.stderr


def test_day_of_a_program(api: Api, ctl: Ctl) -> None:
    assert (
        ctl("add", "day", "-l", "team=day", "--", "sh", "-c", "echo hello; exec sleep 1000").returncode == 0
    )
    assert ctl("start", "day").stdout == "day: started\n"
    [row] = json.loads(ctl("status", "-o", "json", "team=day").stdout)
    assert (row["name"], row["state"], row["restarts"]) == ("day", "running", 0)
    first = row["pid"]
    assert ctl("restart", "da*").stdout == "day: restarted\n"
    assert "hello\nhello\n" in ctl("logs", "day").stdout
    assert api.pid(row["id"]) != first
    assert ctl("signal", "cont", str(row["id"])).stdout == "day: signalled\n"
    assert "running -> " in ctl("events", "day").stdout
    assert "command: sh -c" in ctl("describe", "day").stdout
    assert ctl("stop", "@running").returncode == 0
    assert ctl("status", "day").returncode == 3
    assert ctl("disable", "day").stdout == "day: disabled\n"
    assert "disabled" in ctl("status", "day").stdout
    assert ctl("enable", "day").stdout == "day: enabled\n"
    assert ctl("rm", "day").stdout == "day: removed\n"
    assert ctl("status", "day").returncode == 3


def test_problems_are_sentences_with_their_exit_codes(api: Api, ctl: Ctl) -> None:
    api.add(name="one")
    api.add("sh -c 'exit 5'", name="two", start_retries=0)
    refused = ctl("reload", "one")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == api.refused(f"programs/{_id(api, 'one')}/reload", {}) + "\n"
    several = ctl("start", "one", "two")
    assert (several.returncode, several.stdout) == (1, "one: started\n")
    assert several.stderr.startswith("two: ")
    assert "exit code 5" in ctl("status", "two").stdout
    missing = ctl("restart", "one", "nothing*")
    assert (missing.returncode, missing.stderr) == (3, "No program matches 'nothing*'\n")
    assert ctl("stop").returncode == 2
    gone = ctl("status", DAEMON_BIND="127.0.0.1:1")
    assert (gone.returncode, gone.stdout) == (4, "")
    assert gone.stderr.count("\n") == 1


def _id(api: Api, name: str) -> int:
    return int(api.get("programs", name=name).json()["programs"][0]["id"])


def test_words_of_other_supervisors_lead_to_the_commands_here(api: Api, ctl: Ctl) -> None:
    tail = ctl("tail", "-f", "x")
    assert (tail.returncode, tail.stdout) == (2, "")
    assert "No such command 'tail'. Here it is: logs -f." in tail.stderr
    assert "No such command 'tial'." in ctl("tial").stderr
    assert ctl("start", "all").stderr == "No program matches 'all'; all programs are --all\n"
    assert ctl("status", "--all").returncode == 0
    assert ctl("status", "--all", "x").returncode == 2
    shown = ctl("--help").stdout
    assert "..." not in shown.partition("Commands:")[2].replace("[ARGS]...", "")


def test_instances_are_met_together_or_one_by_one(api: Api, ctl: Ctl) -> None:
    api.add(shell("echo I am $0; exec sleep 1000"), name="crew", numprocs=2)
    assert ctl("start", "crew").returncode == 0
    assert "running 2/2" in ctl("status", "crew").stdout
    assert ctl("stop", "crew", "-i", "1").returncode == 0
    assert "running 1/2" in ctl("status", "-o", "wide", "crew").stdout
    assert ctl("wait", "crew", "--for", "running", "--timeout", "0").returncode == 1


def test_wait_ends_early_when_it_is_in_vain(api: Api, ctl: Ctl) -> None:
    id = api.add("sh -c 'exit 5'", name="vain", start_retries=0)
    api.ok(f"programs/{id}/start")
    waited = ctl("wait", "vain", "--timeout", "50")
    assert (waited.returncode, waited.stderr) == (1, "vain can't run: exit code 5\n")
    assert ctl("wait", "vain", "--for", "stopped").returncode == 0


def test_edit_sends_what_was_changed(api: Api, ctl: Ctl, tmp_path: Path) -> None:
    id = api.add(name="edited", description="before")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/description: before/description: after/' \"$1\"\n")
    editor.chmod(0o755)
    edited = ctl("edit", "--yes", "edited", EDITOR=str(editor))
    assert "-description: before\n+description: after\n" in edited.stdout, edited.stderr
    assert api.get(f"programs/{id}").json()["program"]["description"] == "after"
    assert ctl("edit", "edited", EDITOR=str(editor)).stdout == "Nothing was changed.\n"


def test_contexts_are_private_and_hold_no_token(stack: Stack, ctl: Ctl, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(stack.token)
    assert ctl("context", "add", "far", stack.url, "--token-file", str(token)).returncode == 0
    file = tmp_path / "daemonctl" / "contexts.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stack.token not in file.read_text()
    nowhere = {"DAEMON_STATE_DIR": str(tmp_path / "nowhere")}
    assert ctl("status", **nowhere).returncode == 0
    assert ctl("--context", "local", "status", **nowhere).returncode == 4
    assert "* far" in ctl("context", "list").stdout
    assert ctl("context", "rm", "far").returncode == 0
    assert ctl("status", **nowhere).returncode == 4
    assert ctl("status", DAEMONCTL_URL=stack.url, DAEMONCTL_TOKEN_FILE=str(token), **nowhere).returncode == 0
    assert ctl("status", DAEMONCTL_URL=stack.url, DAEMONCTL_TOKEN="hdt_no").returncode == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_are_completed(api: Api, ctl: Ctl, shell: str) -> None:
    api.add(name="complete-me")
    words = {"COMP_WORDS": "daemonctl restart comp", "COMP_CWORD": "comp" if shell == "fish" else "2"}
    completed = ctl(_DAEMONCTL_COMPLETE=f"{shell}_complete", **words)
    assert "complete-me" in completed.stdout
    assert "_DAEMONCTL_COMPLETE" in ctl("completion", shell).stdout


def test_table_is_shown_again_until_ctrl_c(api: Api, terminal: Open) -> None:
    id = api.add(name="watched")
    watched = terminal("status", "--watch", "watched")
    watched.until("stopped")
    api.ok(f"programs/{id}/start")
    watched.until("running")
    assert "\x1b[32m" in watched.shown
    watched.type("\x03")
    assert watched.ended() == 130
    top = terminal("top")
    top.until("watched")
    top.type("\x03")
    assert top.ended() == 130
    plain = terminal("status", "watched", NO_COLOR="1")
    assert plain.ended() == 0
    assert "\x1b" not in plain.shown


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_attach_joins_the_terminal_of_a_program(api: Api, ctl: Ctl, terminal: Open) -> None:
    id = api.add(shell("echo inside; exec sleep 1000"), name="inner", terminal_id=88, terminal_shell="tmux")
    assert ctl("attach", "inner").returncode == 3
    api.ok(f"programs/{id}/start", {"wait": True})
    joined = terminal("attach", "inner")
    joined.until("inside")
    # tmux does not take keys from the moment on that it shows something.
    eventually(lambda: joined.type("\x02d") or joined.process.poll() is not None, 20)
    assert joined.ended() == 0
