"""A tmux server that is killed at whatever moment of its session's beginning ends its program."""

import contextlib
import os
import random
import shlex
import shutil
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.children import PATIENT, tree
from tests.drills import ROUNDS
from tests.rooms import Room
from tests.stack import Api, Stack, eventually

SEED = int(os.environ.get("DRILL_SEED", time.time_ns() % 10**6))
KILLS = 5 * ROUNDS
BEGINNING = 0.06  # seconds from the first sign of a server to a session whose output is read


def server_of(socket: Path) -> psutil.Process | None:
    """The session's server, once it is a process of its own and no more a client that forks."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "tmux: server" and str(socket) in process.cmdline():
                return process
    return None


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_kill_at_any_moment_of_the_beginning(api: Api, stack: Stack, tmp_path: Path) -> None:
    print(f"DRILL_SEED={SEED}")
    chance = random.Random(SEED)
    room = Room(api, tmp_path)
    for _ in range(KILLS):
        kill_once(room, stack, chance)
    print(f"{KILLS} kills: each program ended")


def kill_once(room: Room, stack: Stack, chance: random.Random) -> None:
    id = room.add("tmux", PATIENT)
    room.api.ok(f"programs/{id}/start")
    socket = Path(shlex.split(room.api.status(id)["status"]["attach"])[2])
    server = eventually(lambda: server_of(socket))
    time.sleep(chance.random() * BEGINNING)
    server.send_signal(chance.choice([signal.SIGTERM, signal.SIGKILL]))
    assert room.api.until(id, "exited")["last_run"]["exit_code"] == 1
    eventually(lambda: tree(stack, id) == [])
    eventually(lambda: not socket.parent.exists())
