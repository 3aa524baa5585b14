"""After ``kill -9`` of supervisord, its survivors are ended before the next start, and no other processes."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.drills import ROUNDS
from tests.drills.consistency import agree
from tests.processes import is_alive, python, shell, tree
from tests.stack import OWN_USER, Stack, eventually, temporary_stack
from tests.temporary_programs import Quick, own_processes

TOKEN = str(700_000_000 + os.getpid())  # an argument of all processes of these drills

_DAEMON = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0: os.execvp('sleep', ['sleep', '{token}'])\n"
    "    os._exit(0)\n"
    "os.execvp('sleep', ['sleep', '{token}'])"
).replace("{token}", TOKEN)

# Kinds of survivors, with the number of their processes that have the token.
KINDS = {
    "plain": (f"sleep {TOKEN}", 1),
    "without marks": (f"env -i sleep {TOKEN}", 1),
    "child without marks": (shell(f"env -i sleep {TOKEN} & exec sleep {TOKEN}"), 2),
    "child without marks in its session": (shell(f"setsid env -i sleep {TOKEN} & exec sleep {TOKEN}"), 2),
    "orphan in its own session": (shell(f"(setsid sleep {TOKEN} &); exec sleep {TOKEN}"), 2),
    "orphan of one without marks": (
        f"env -i PATH={os.environ['PATH']} sh -c '(sleep {TOKEN} &); exec sleep {TOKEN}'",
        2,
    ),
    "daemon": (python(_DAEMON), 2),
    "heeds no SIGTERM": (shell(f"trap '' TERM; while :; do sleep {TOKEN}; done"), 1),
    "stopped": (shell(f"kill -STOP $$; exec sleep {TOKEN}"), 0),
}


@pytest.fixture
def other() -> Iterator[Stack]:
    """Another stack on the same host: the same programs under the same ids."""
    with temporary_stack() as stack:
        yield stack.start()


@pytest.mark.parametrize("round", range(ROUNDS))
def test_survivors_are_ended_and_no_program_runs_twice(own_stack: Stack, other: Stack, round: int) -> None:
    own_stack.start()
    ids = {kind: populate(own_stack, kind, number) for number, kind in enumerate(KINDS, 500)}
    theirs = {populate(other, kind, number): kind for number, kind in enumerate(KINDS, 500)}
    temporary = Quick(own_stack).run(f"sleep {TOKEN}")
    eventually(lambda: len(living(own_stack)) >= sum(size for _, size in KINDS.values()) + 1, 30)
    eventually(lambda: all(other.api.word(id) == "running" for id in theirs), 30)
    survivors, neighbours = living(own_stack), {id: other.api.pid(id) for id in theirs}
    kill_supervisord(own_stack, random.Random(round))
    assert all(is_alive(process) for process in survivors), "they survive"
    own_stack.start()
    assert not any(is_alive(process) for process in survivors)
    assert "processes that a killed stack had left behind" in own_stack.output.read_text()
    assert {id: other.api.pid(id) for id in theirs} == neighbours
    for kind, (_, size) in KINDS.items():
        own_stack.api.until(ids[kind], "running", timeout=30)
        if size:
            eventually(lambda size=size, kind=kind: len(of(own_stack, ids[kind])) == size, what=kind)
    assert Quick(own_stack).status(temporary)["status"] == "stopped"
    assert list((own_stack.folder / "running").glob("quick_*")) == []
    print(f"{len(survivors)} survivors ended, {len(neighbours)} programs of another stack left alone")


def populate(stack: Stack, kind: str, number: int) -> int:
    """A program of this kind that boots, and runs."""
    grace = 1 if kind == "heeds no SIGTERM" else 20
    return stack.api.add(KINDS[kind][0], id=number, name=kind, boot=True, stop_grace_seconds=grace)


def kill_supervisord(stack: Stack, chance: random.Random) -> None:
    """Kill supervisord alone or with parts of the stack, as on a host that is out of memory."""
    victims = [stack.supervisord_pid]
    victims += [process.pid for process in parts(stack) if chance.random() < 0.3]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert stack.process is not None
    stack.process.wait()


def parts(stack: Stack) -> list[psutil.Process]:
    return own_processes(stack, "api", "scheduler", "listener")


def living(stack: Stack) -> list[psutil.Process]:
    """All processes with the token that descend from this stack's supervisord, and those that are stopped."""
    return [
        process
        for process in psutil.Process(stack.supervisord_pid).children(recursive=True)
        if TOKEN in _arguments(process) or process.status() == psutil.STATUS_STOPPED
    ]


def of(stack: Stack, id: int) -> list[psutil.Process]:
    """Return the processes of one program with the token: its tree and its orphans."""
    pid = stack.api.pid(id)
    own = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] if pid else []
    session = [each for each in psutil.process_iter() if pid and _session(each) == pid and each not in own]
    return [each for each in {*own, *session, *tree(stack, id)} if TOKEN in _arguments(each)]


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def pid_is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and is_alive(psutil.Process(pid))


def test_program_that_is_killed_with_supervisord_and_comes_back_at_once(
    own_stack: Stack, tmp_path: Path
) -> None:
    """However often it is killed and started, it never runs more than once."""
    seen = tmp_path / "seen"
    one_at_a_time = f"echo $$ >> {seen}; exec env -i sleep {TOKEN}"
    own_stack.start()
    id = own_stack.api.add(shell(one_at_a_time), boot=True, user=OWN_USER)
    for _ in range(2 + ROUNDS):
        own_stack.api.until(id, "running")
        survivor = psutil.Process(own_stack.api.pid(id))
        os.kill(own_stack.supervisord_pid, signal.SIGKILL)
        own_stack.process.wait()
        own_stack.start()
        assert not is_alive(survivor)
        alive = [pid for pid in map(int, seen.read_text().split()) if pid_is_alive(pid)]
        assert len(alive) <= 1
    agreed = own_stack.api.until(id, "running")
    assert agreed["status"]["pid"] == int(seen.read_text().split()[-1])
    own_stack.api.ok(f"programs/remove/{id}")
    agree(own_stack)
