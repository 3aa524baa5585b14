"""Programs in terminals, with a home folder of their own instead of the tester's start-up files."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from daemon_programs.supervisor import terminals
from tests.stack import Api, eventually

numbers = itertools.count(1)

ALL_SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed"))
    for name in terminals.SHELLS
]
SHELLS = ALL_SHELLS[:-1]  # without tmux

of_each_shell = pytest.mark.parametrize("name", SHELLS)
of_each_shell_and_tmux = pytest.mark.parametrize("name", ALL_SHELLS)


class TerminalPrograms:
    """Adds programs, each in a terminal of its own number."""

    def __init__(self, api: Api, home: Path) -> None:
        self.api = api
        self.home = home

    def add(self, name: str | None, command: str, **fields: Any) -> int:
        terminal = {"terminal_id": next(numbers), "terminal_shell": name}
        environment = {"HOME": str(self.home), **fields.pop("environment", {})}
        return self.api.add(
            command, **{"autorestart": "false", "environment": environment, **terminal, **fields}
        )

    def run(self, name: str | None, command: str, **fields: Any) -> int:
        """Run a program until its command has said ``END``."""
        id = self.add(name, command, **fields)
        self.api.ok(f"programs/{id}/start")
        eventually(lambda: "END" in self.api.logs(id), 30, f"the end of {command} in {name}")
        return id
