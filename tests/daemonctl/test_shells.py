"""``daemonctl`` typed into real shells: completion with Tab, and a day's work at a terminal."""

import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemonctl.conftest import environment
from tests.fleet.hubs import add_host, remove_host
from tests.stack import PROJECT, Api, Stack, eventually

# What makes each shell speak plainly, and loads the completion. The echo of it must not look like the prompt.
SHELLS = {
    "bash": (
        ["bash", "--noprofile", "--norc", "-i"],
        "PS1='rea''dy> '; bind 'set enable-bracketed-paste off'; eval \"$(daemonctl completion bash)\"",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='rea''dy> '; autoload -Uz compinit; compinit -u -D; eval \"$(daemonctl completion zsh)\"",
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        "function fish_prompt; echo -n 'rea''dy> '; end; daemonctl completion fish | source",
    ),
}


class Shell:
    """A shell in a pseudo terminal, in which `daemonctl` is a command."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.shown = ""
        self._screen, terminal = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command], cwd="/", env=env, stdin=terminal, stdout=terminal, stderr=terminal
        )
        os.close(terminal)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while received := os.read(self._screen, 65536):
                self.shown += received.decode(errors="replace")
                if "\x1b[c" in received.decode(errors="replace"):  # fish asks what the terminal is
                    os.write(self._screen, b"\x1b[?62;22c")
        except OSError:  # the other end is closed
            pass

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def until(self, pattern: str, timeout: float = 20) -> None:
        """Wait for a text since what was last waited for."""
        try:
            found = eventually(lambda: re.search(pattern, self.shown), timeout)
        except AssertionError:
            raise AssertionError(f"{pattern!r} is not in {self.shown!r}") from None
        self.shown = self.shown[found.end() :]

    def does(self, command: str, pattern: str) -> None:
        """Run a command, and wait for what it says and for the next prompt."""
        self.type(f"{command}\n")
        self.until(pattern)
        self.until("ready> ")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._screen)


Open = Callable[[str], Shell]


@pytest.fixture(scope="module")
def host(stack: Stack) -> Iterator[str]:
    """The name of the stack as a host of its own."""
    add_host(stack, stack, "harbour-1")
    yield "harbour-1"
    remove_host(stack, "harbour-1")


@pytest.fixture
def shell(stack: Stack, tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens a shell with completion."""
    program = tmp_path / "bin" / "daemonctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m daemonctl "$@"\n')
    program.chmod(0o755)
    own = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        "HOME": str(tmp_path),
        "LINES": "50",
        "COLUMNS": "200",
        "EDITOR": "sed -i s/before/after/",
    }
    opened: list[Shell] = []

    def open_(name: str) -> Shell:
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed")
        command, setup = SHELLS[name]
        opened.append(Shell(command, environment(stack, tmp_path, **own)))
        opened[-1].type(f"{setup}\n")
        opened[-1].until("ready> ")
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


@pytest.mark.parametrize("name", SHELLS)
def test_names_are_completed_when_tab_is_pressed(api: Api, host: str, shell: Open, name: str) -> None:
    api.add(name="tabulated-web")
    opened = shell(name)
    opened.type("daemonctl resta\t tabu\t")
    opened.until("restart.*tabulated-web")
    opened.type("\n")
    opened.until("tabulated-web: .*restarted")
    opened.type(f"daemonctl --host {host[:3]}\tstat\t")
    opened.until(f"--host {host}.*status")
    opened.type("\n")
    opened.until("tabulated-web .*running")


def test_day_at_a_terminal(api: Api, stack: Stack, shell: Open) -> None:
    day = shell("bash")
    day.does("daemonctl --help", "daemonctl COMMAND --help|SELECTOR")
    day.does("daemonctl add noon --set description=before -- sh -c 'echo hi; exec sleep 1000'", "noon: added")
    day.does("daemonctl start noon", "noon: .*started")
    day.does("daemonctl status noon", "(?s)NAME .*noon .*running")
    day.does("daemonctl logs noon", "\nhi")
    day.does("daemonctl signal CONT noon", "signalled")
    day.does("daemonctl reload noon; echo =$?=", "(?s)has no reload.*\n=1=")
    day.does("daemonctl wait noon --for running && echo waited", "\nwaited")
    day.does("daemonctl describe noon", "command: sh -c")
    day.does("daemonctl events noon", "starting -> .*running")
    day.type("daemonctl edit noon\n")
    day.until(r"(?s)\+description: after.*Save this\? \[y/N\]: ")
    day.does("y", "noon: edited")
    day.does("daemonctl restart noon", "restarted")
    day.does("daemonctl stop noon", "stopped")
    day.does("daemonctl disable noon; daemonctl enable noon", "(?s)disabled.*enabled")
    day.does("daemonctl run -- sh -c 'exit 3'; echo =$?=", "=3=")
    day.does(f"daemonctl context add far {stack.url} --token-file {stack.folder}/api-token", "far")
    day.does("daemonctl context list", r"\* far")
    day.type("daemonctl rm 'noo*'\n")
    day.until(r"Remove noon\? \[y/N\]: ")
    day.does("y", "noon: .*removed")
    day.does("daemonctl status noon; echo =$?=", "(?s)No program matches 'noon'.*\n=3=")
