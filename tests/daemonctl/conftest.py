"""``daemonctl`` as people call it: a process of its own, beside a pipe or in a pseudo terminal."""

import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stack import PROJECT, Stack, eventually

COMMAND = [sys.executable, "-m", "daemonctl"]
Ctl = Callable[..., subprocess.CompletedProcess[str]]


def environment(stack: Stack, home: Path, **more: str) -> dict[str, str]:
    own = {name: value for name, value in stack.env.items() if not name.startswith("DAEMONCTL_")}
    # The address is to be found in the state folder.
    own.pop("DAEMON_BIND")
    return {**own, "XDG_CONFIG_HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8", **more}


class Terminal:
    """A command in a pseudo terminal, and what it has shown."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        self.shown = ""
        self._screen, terminal = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *COMMAND, *arguments],  # for Ctrl-C it must be the controlling terminal
            cwd=PROJECT,
            env=env,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while received := os.read(self._screen, 65536):
                self.shown += received.decode(errors="replace")
        except OSError:  # the other end is closed
            pass

    def until(self, text: str, timeout: float = 20) -> None:
        eventually(lambda: text in self.shown, timeout, f"{text!r} in {self.shown!r}")

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def ended(self, timeout: float = 20) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(timeout)
        self._reader.join(5)
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join(5)
        os.close(self._screen)


Open = Callable[..., Terminal]


@pytest.fixture
def ctl(stack: Stack, tmp_path: Path) -> Ctl:
    """Return a function that runs a command to its end."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=PROJECT,
            env=environment(stack, tmp_path, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def terminal(stack: Stack, tmp_path: Path) -> Iterator[Open]:
    """Return a function that runs a command in a terminal."""
    opened: list[Terminal] = []

    def open_(*arguments: str, on: Stack = stack, **more: str) -> Terminal:
        opened.append(Terminal(environment(on, tmp_path, **more), *arguments))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()
