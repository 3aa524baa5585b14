"""Programs by selectors: what they do, what is shown of them, and the exit codes."""

import json
import shutil
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.daemonctl.conftest import Ctl, Open
from tests.processes import LONG_RUNNING, shell
from tests.stack import PROJECT, Api, Stack, eventually
from tests.temporary_programs import Quick


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


def test_several_programs_are_one_request(api: Api, ctl: Ctl) -> None:
    first, second = api.add(name="batch one"), api.add(name="batch two", enabled=False)
    crew = api.add(LONG_RUNNING, name="batch crew", numprocs=2)
    planned = ctl("start", "--dry-run", "batch*")
    assert planned.stdout == "batch one: would be started\nbatch crew: would be started\n"
    assert planned.stderr == f"batch two: Program with ID {second} is disabled\n"
    assert planned.returncode == 1
    assert api.word(first) == "stopped"
    started = ctl("start", "batch*")
    assert started.stdout == "batch one: started\nbatch crew: started\n"
    assert started.stderr == planned.stderr
    assert started.returncode == 1
    assert api.status(crew)["running_count"] == 2
    assert ctl("start", "--dry-run", "batch one").stdout == (
        f"batch one: Program with ID {first} ran already\n"
    )
    both = ("batch one", "batch crew")
    for verb, done in (
        ("start", "started"), ("restart", "restarted"), ("stop", "stopped"), ("stop", "stopped"),
        ("enable", "enabled"), ("disable", "disabled"),
    ):  # fmt: skip
        assert ctl(verb, *both).stdout == f"batch one: {done}\nbatch crew: {done}\n"
    refused = ctl("reload", *both)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[0] == f"batch one: Program with ID {first} is disabled"
    assert ctl("rm", "--dry-run", "batch*").stdout.count("would be removed") == 3
    assert ctl("rm", "batch*").stdout.count(": removed\n") == 3


def test_temporary_programs_are_stopped_beside_others(api: Api, quick: Quick, ctl: Ctl) -> None:
    id = quick.run()
    for name in ("beside one", "beside two"):
        api.add(name=name)
    names = (id, "beside one", "beside two")
    assert ctl("stop", "--dry-run", *names).stdout.splitlines()[0] == f"{id}: would be stopped"
    assert ctl("stop", *names).stdout == "".join(f"{name}: stopped\n" for name in names)
    assert quick.status(id)["status"] != "running"


class Old(BaseHTTPRequestHandler):
    """A daemon without batches."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self._answer(200, {"programs": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]})

    def do_POST(self) -> None:
        self.asked.append(self.path.rpartition("/daemon/")[2])
        is_old = self.path.endswith("/batch")
        error = {"success": False, "error": "Method POST is not allowed here"}
        self._answer(405 if is_old else 200, error if is_old else {"success": True})

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *arguments: Any) -> None:
        """Stay quiet."""


def test_daemon_without_batches_is_asked_for_each(ctl: Ctl) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Old) as old:
        thread = threading.Thread(target=old.serve_forever)
        thread.start()
        at = {"DAEMONCTL_URL": f"http://127.0.0.1:{old.server_port}", "DAEMONCTL_TOKEN": "x"}
        assert ctl("start", "a", "b", **at).stdout == "a: started\nb: started\n"
        assert ctl("start", "--dry-run", "a", **at).stderr == "This daemon is too old for --dry-run\n"
        old.shutdown()
        thread.join()
    assert sorted(Old.asked) == ["programs/1/start", "programs/2/start", *["programs/batch"] * 2]


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
