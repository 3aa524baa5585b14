"""A tmux server that is killed at any moment while its session starts ends its program."""

import contextlib
import random
import shlex
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.drills import ROUNDS, SEED
from tests.processes import LONG_RUNNING, tree
from tests.stack import Api, Stack, eventually
from tests.terminal_programs import TerminalPrograms

KILLS = 5 * ROUNDS
BEGINNING = 0.06  # seconds from the first sign of a server to a session whose output is read


def server_of(socket: Path) -> psutil.Process | None:
    """Return the session's server, once it has forked from the client."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "tmux: server" and str(socket) in process.cmdline():
                return process
    return None


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_kill_at_any_moment_of_the_beginning(api: Api, stack: Stack, tmp_path: Path) -> None:
    print(f"DRILL_SEED={SEED}")
    chance = random.Random(SEED)
    terminals = TerminalPrograms(api, tmp_path)
    for _ in range(KILLS):
        kill_once(terminals, stack, chance)
    print(f"{KILLS} kills: each program ended")


def kill_once(terminals: TerminalPrograms, stack: Stack, chance: random.Random) -> None:
    id = terminals.add("tmux", LONG_RUNNING)
    terminals.api.ok(f"programs/{id}/start")
    socket = Path(shlex.split(terminals.api.status(id)["status"]["attach"])[2])
    server = eventually(lambda: server_of(socket))
    time.sleep(chance.random() * BEGINNING)
    server.send_signal(chance.choice([signal.SIGTERM, signal.SIGKILL]))
    assert terminals.api.until(id, "exited")["last_run"]["exit_code"] == 1
    eventually(lambda: tree(stack, id) == [])
    eventually(lambda: not socket.parent.exists())
