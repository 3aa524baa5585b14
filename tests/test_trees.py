"""A stop ends the whole tree, and no process survives its program."""

import os
import signal

import psutil
import pytest

from daemon_programs.programs.observed import usage
from daemon_programs.supervisor.client import Supervisor
from tests.processes import python, shell, started, tree
from tests.stack import Api, Stack, eventually

FORK = "import os, time\nif os.fork() == 0: {}\ntime.sleep(1000)"
DETACHED = (
    "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep(1000)"
)

# Script, and how many processes it comes to
TREES = {
    "child": (shell("sleep 1000 & sleep 1000; true"), 3),
    "fork": (python(FORK.format("time.sleep(1000)")), 2),
    "setsid child": (shell("setsid sleep 1000 & exec sleep 1000"), 2),
    "setsid grandchild": (shell("(setsid sh -c 'sleep 1000; true' &) ; exec sleep 1000"), 3),
    "double fork": (shell("(sleep 1000 &) ; exec sleep 1000"), 2),
    "daemon": (python(FORK.format(f"exec({DETACHED!r})")), 2),
    "many": (shell("for i in 1 2 3 4 5 6 7 8 9 10; do setsid sleep 1000 & done; exec sleep 1000"), 11),
    "ignores SIGHUP": (shell("nohup setsid sleep 1000 & exec sleep 1000"), 2),
}


def grown(api: Api, stack: Stack, id: int, size: int) -> list[psutil.Process]:
    started(api, id)
    return eventually(  # type: ignore[no-any-return]
        lambda: len(found := tree(stack, id)) == size and found,
        what=f"{size} processes: {tree(stack, id)}",
    )


@pytest.mark.parametrize(("command", "size"), TREES.values(), ids=TREES)
@pytest.mark.parametrize("verb", ["{}/stop", "{}/disable", "remove/{}"])
def test_no_process_of_a_tree_is_left(api: Api, stack: Stack, command: str, size: int, verb: str) -> None:
    id = api.add(command)
    before = grown(api, stack, id, size)
    api.ok(f"programs/{verb.format(id)}")
    assert tree(stack, id) == []
    assert not any(process.is_running() for process in before)


@pytest.mark.parametrize(("command", "size"), TREES.values(), ids=TREES)
def test_end_of_the_main_process_ends_what_it_leaves(api: Api, stack: Stack, command: str, size: int) -> None:
    id = api.add(command, autorestart="false")
    grown(api, stack, id, size)
    os.kill(api.pid(id) or 0, signal.SIGKILL)
    assert api.until(id, "exited")["last_run"]["signal"] == "SIGKILL"
    eventually(lambda: tree(stack, id) == [])


def test_program_comes_back_only_when_its_old_tree_is_gone(api: Api, stack: Stack) -> None:
    child = "trap 'sleep 0.5; exit' TERM; echo child; while :; do sleep 0.05; done"
    id = api.add(shell(f'setsid sh -c "{child}" & exec sleep 1000'))
    pid = started(api, id)
    eventually(lambda: api.logs(id) == "child")
    old = tree(stack, id)
    api.until(id, "running")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: api.pid(id) not in (None, pid))
    assert not any(process.is_running() for process in old)


def test_trees_of_two_programs_are_distinguished(api: Api, stack: Stack) -> None:
    command = "(setsid sleep 1000 &) ; exec sleep 1000"
    first, second = api.add(shell(command)), api.add(shell(command))
    grown(api, stack, first, 2)
    others = grown(api, stack, second, 2)
    api.ok(f"programs/{first}/stop")
    assert tree(stack, first) == []
    assert all(process.is_running() for process in others)


# It has another pid at each check. It ends by itself, since only the stack could catch it.
HOPPER = python(
    "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "until = time.monotonic() + 20\n"
    "if os.fork(): time.sleep(1000)\n"
    "while time.monotonic() < until:\n"
    "    if os.fork(): os._exit(0)\n"
    "    os.setsid()"
)


def test_stop_catches_what_forks_and_ends_without_a_pause(api: Api, stack: Stack) -> None:
    id = api.add(HOPPER, stop_grace_seconds=0)
    for _ in range(5):
        api.ok(f"programs/{id}/start", {"wait": True})
        api.ok(f"programs/{id}/stop")
        for _ in range(5):
            assert tree(stack, id) == []


# Its main thread ends, another one goes on: it looks like a zombie, and isn't one.
THREADS_ONLY = python(
    "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(1000,)).start(); "
    "ctypes.CDLL(None).pthread_exit(None)"
)


@pytest.mark.parametrize("command", [THREADS_ONLY, shell(f"setsid {THREADS_ONLY} & exec sleep 1000")])
def test_process_whose_main_thread_has_ended_is_stopped(api: Api, stack: Stack, command: str) -> None:
    root = psutil.Process(started(api, id := api.add(command)))

    def headless() -> list[psutil.Process]:
        family = [root, *root.children()]
        return [each for each in family if each.status() == psutil.STATUS_ZOMBIE and each.num_threads() > 1]

    (process,) = eventually(headless)
    family = {root.pid, *(child.pid for child in root.children())}
    assert {each["pid"] for each in api.status(id)["stats"]["processes"]} == family
    programs = Supervisor(stack.folder / "supervisor.sock").states()["programs"]
    (used,) = usage.measure({f"program-{id}": programs[f"program-{id}"]}).values()
    assert used.process_count == len(family)
    api.ok(f"programs/{id}/stop")
    assert not psutil.pid_exists(process.pid)
    assert api.word(id) == "stopped"


def test_trees_of_two_instances_are_distinguished(api: Api, stack: Stack) -> None:
    id = api.add(shell("(setsid sleep 1000 &) ; exec sleep 1000"), port_range={"start": 64000, "end": 64001})
    started(api, id, 64000)
    eventually(lambda: len(tree(stack, id)) == 2)
    started(api, id, 64001)
    eventually(lambda: len(tree(stack, id)) == 4)
    api.ok(f"programs/{id}/stop", {"port": 64000})
    assert {stack.owners()[process].process for process in tree(stack, id)} == {"64001"}
    assert len(tree(stack, id)) == 2


def test_no_zombies_are_kept(api: Api, stack: Stack) -> None:
    """Orphans become children of supervisord, which has to reap them."""
    id = api.add(shell("for i in 1 2 3 4 5 6 7 8 9 10; do (true &) ; done; exec sleep 1000"))
    started(api, id)
    api.until(id, "running")
    supervisord = psutil.Process(stack.supervisord_pid)

    def zombies() -> list[psutil.Process]:
        return [each for each in supervisord.children() if each.status() == psutil.STATUS_ZOMBIE]

    eventually(lambda: not zombies())
