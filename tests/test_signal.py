"""``POST programs/{id}/signal``: a signal to what runs of a program, and to nothing else."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon_programs.supervisor.plugin.programs.runs import ending
from daemon_programs.supervisor.plugin.programs.runs.ending import TreeSignal
from daemon_programs.supervisor.processes.signals import SIGNALS
from tests.processes import is_root, python, shell, started, tree
from tests.stack import OTHER_USER, Api, Stack, eventually

PORTS = {"start": 64_100, "end": 64_102}

# The process and its children note each signal, and go on.
NOTES = """
import os, signal, sys, time
name, told = "main", sys.argv[1]
def note(signum, frame):
    with open(told, "a") as file:
        file.write(f"{name} {signal.Signals(signum).name}\\n")
for each in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(each, note)
if not os.fork():
    name = "child"
    if not os.fork():
        name = "grandchild"
    else:
        os.setsid()
elif not os.fork():
    if os.fork():
        os._exit(0)
    name = "orphan"
print("ready", flush=True)
while True:
    time.sleep(1)
"""


def noting(api: Api, told: Path, **fields: Any) -> int:
    """Start a program of four processes, once all listen."""
    id = api.add(python(NOTES, str(told)), **fields)
    started(api, id)
    eventually(lambda: api.logs(id).count("ready") == 4)
    return id


def notes(told: Path) -> list[str]:
    return sorted(told.read_text().splitlines()) if told.exists() else []


def test_signal_goes_to_the_process_itself(api: Api, tmp_path: Path) -> None:
    id = noting(api, tmp_path / "told")
    pid = api.pid(id)
    assert api.ok(f"programs/{id}/signal", {"signal": "USR1"}) == {"success": True}
    eventually(lambda: notes(tmp_path / "told") == ["main SIGUSR1"])
    api.ok(f"programs/{id}/signal", {"signal": "HUP", "scope": "main"})
    eventually(lambda: notes(tmp_path / "told") == ["main SIGHUP", "main SIGUSR1"])
    assert api.pid(id) == pid


def test_signal_goes_once_to_each_process_of_the_tree(api: Api, tmp_path: Path) -> None:
    id = noting(api, tmp_path / "told")
    others = noting(api, tmp_path / "others")
    api.ok(f"programs/{id}/signal", {"signal": "USR2", "scope": "tree"})
    names = ["child", "grandchild", "main", "orphan"]
    eventually(lambda: notes(tmp_path / "told") == [f"{name} SIGUSR2" for name in names])
    assert notes(tmp_path / "others") == []
    assert api.pid(others)


def test_tree_of_hundreds_is_signalled_as_a_whole(api: Api, stack: Stack) -> None:
    id = api.add(shell("for i in $(seq 300); do sleep 1000 & done; echo ready; wait"))
    started(api, id)
    eventually(lambda: api.logs(id) == "ready", 30)
    everything = tree(stack, id)
    assert len(everything) == 301
    api.ok(f"programs/{id}/signal", {"signal": "STOP", "scope": "tree"})
    eventually(lambda: {each.status() for each in everything} == {psutil.STATUS_STOPPED}, 20)
    api.ok(f"programs/{id}/stop")  # which lets them go on
    assert tree(stack, id) == []


def test_suspended_program_goes_on(api: Api, stack: Stack) -> None:
    id = api.add()
    process = psutil.Process(started(api, id))
    api.ok(f"programs/{id}/signal", {"signal": "STOP"})
    eventually(lambda: process.status() == psutil.STATUS_STOPPED)
    api.ok(f"programs/{id}/signal", {"signal": "CONT"})
    eventually(lambda: process.status() == psutil.STATUS_SLEEPING)


def test_end_by_a_signal_is_one_like_any_other(api: Api) -> None:
    id = api.add(autorestart="false")
    started(api, id)
    api.ok(f"programs/{id}/signal", {"signal": "KILL"})
    assert api.until(id, "exited")["last_run"]["signal"] == "SIGKILL"


def test_signal_of_a_tree_that_kills_leaves_nothing(api: Api, stack: Stack, tmp_path: Path) -> None:
    id = noting(api, tmp_path / "told", autorestart="false")
    api.ok(f"programs/{id}/signal", {"signal": "KILL", "scope": "tree"})
    api.until(id, "exited")
    assert tree(stack, id) == []


def test_every_name_is_a_signal_and_is_taken(api: Api) -> None:
    id = api.add(shell("exec sleep 1000"), autorestart="false")
    for name in SIGNALS:
        assert signal.Signals[f"SIG{name}"]
        assert (
            api.refused(f"programs/{id}/signal", {"signal": name}) == f"Program with ID {id} is not running"
        )


def test_large_tree_is_signalled_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_STEP_SECONDS", 0.0)
    with children(20) as processes:
        signalling = TreeSignal([each.pid for each in processes], signal.SIGTERM, lambda pid: True)
        steps = 1
        while not signalling.step():
            steps += 1
        assert steps >= 20
        assert [each.wait(5) for each in processes] == [-signal.SIGTERM] * 20


def test_process_that_is_anothers_by_its_turn_is_left_alone() -> None:
    with children(3) as processes:
        first, reused, last = processes
        pids = [each.pid for each in processes]
        signalling = TreeSignal(pids, signal.SIGTERM, lambda pid: pid != reused.pid)
        eventually(signalling.step)
        assert [first.wait(5), last.wait(5)] == [-signal.SIGTERM] * 2
        assert reused.poll() is None


@contextlib.contextmanager
def children(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [subprocess.Popen(["sleep", "1000"]) for _ in range(count)]
    try:
        yield processes
    finally:
        for each in processes:
            each.kill()
            each.wait()


# Its mark is that of no program then.
CHANGES_ITS_MARK = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_MSGQUEUE, (0, 0))
waits = "echo ready; while :; do sleep 0.05; done"
script = f"(trap 'echo child >> $1' USR1; {waits}) & trap 'echo main >> $1' USR1; {waits}"
os.execvp("sh", ["sh", "-c", script, "sh", sys.argv[1]])
"""


def test_process_that_has_changed_its_mark_is_signalled_by_its_parentage(api: Api, tmp_path: Path) -> None:
    id = api.add(python(CHANGES_ITS_MARK, str(tmp_path / "told")))
    main = psutil.Process(started(api, id))
    eventually(lambda: api.logs(id).count("ready") == 2)
    forked = main.children(recursive=True)
    api.ok(f"programs/{id}/signal", {"signal": "USR1", "scope": "tree"})
    eventually(lambda: notes(tmp_path / "told") == ["child", "main"])
    for child in forked:  # once its parent has ended, nothing tells whose it is
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


BODIES: list[tuple[dict[str, Any], str]] = [
    ({}, "Field 'signal' is required"),
    *[({"signal": value}, f"Field 'signal' must be one of: {', '.join(SIGNALS)}")
      for value in ("SIGHUP", "hup", "SEGV", "", None, 1, ["HUP"])],
    *[({"signal": "HUP", "scope": value}, "Field 'scope' must be one of: main, tree")
      for value in ("group", "", None, 1)],
    ({"signal": "HUP", "all": 1}, "Field 'all' must be true or false"),
    ({"signal": "HUP", "port": "1"}, "Field 'port' must be an integer"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sentence"), BODIES, ids=[str(body) for body, _ in BODIES])
def test_bodies_are_strict(api: Api, body: dict[str, Any], sentence: str) -> None:
    id = api.add()
    pid = started(api, id)
    assert api.refused(f"programs/{id}/signal", body) == sentence
    assert api.pid(id) == pid


def test_program_that_does_not_run_is_refused(api: Api) -> None:
    stopped, delayed, disabled = api.add(), api.add(delay_seconds=60), api.add(enabled=False)
    api.ok(f"programs/{delayed}/start")
    for id in (stopped, delayed):
        assert (
            api.refused(f"programs/{id}/signal", {"signal": "HUP"}) == f"Program with ID {id} is not running"
        )
    sentence = api.refused(f"programs/{disabled}/signal", {"signal": "HUP"})
    assert sentence == f"Program with ID {disabled} is disabled"


def test_instances_are_chosen_as_for_a_stop(api: Api, tmp_path: Path) -> None:
    script = 'trap "echo heard" USR1; echo ready; while :; do sleep 0.05; done'
    id = api.add(shell(script), port_range=PORTS)
    route, body = f"programs/{id}/signal", {"signal": "USR1"}
    assert api.refused(route, {**body, "all": True}) == f"No instance of program with ID {id} is running"
    for port in (64_100, 64_102):
        started(api, id, port)
        eventually(lambda port=port: api.logs(id, port=port) == "ready")
    sentence = 'Port parameter or "all: true" required to signal port-range program instances'
    assert api.refused(route, body) == sentence
    sentence = "Port parameter and all: true can't be combined"
    assert api.refused(route, {**body, "all": True, "port": 64_100}) == sentence
    assert api.refused(route, {**body, "port": 1}) == "Port 1 is outside valid range [64100-64102]"
    name = api.get(f"programs/{id}").json()["program"]["name"]
    sentence = f"Instance {name}_64101 is not running"
    assert api.refused(route, {**body, "port": 64_101}) == sentence
    api.ok(route, {**body, "port": 64_102})
    eventually(lambda: api.logs(id, port=64_102) == "ready\nheard")
    assert api.logs(id, port=64_100) == "ready"
    api.ok(route, {**body, "all": True})
    eventually(lambda: api.logs(id, port=64_100) == "ready\nheard")
    eventually(lambda: api.logs(id, port=64_102) == "ready\nheard\nheard")


def test_single_program_ignores_all_and_refuses_a_port(api: Api) -> None:
    id = api.add()
    started(api, id)
    api.ok(f"programs/{id}/signal", {"signal": "CONT", "all": True})
    sentence = api.refused(f"programs/{id}/signal", {"signal": "CONT", "port": 5})
    assert sentence == f"Program with ID {id} has no port range"


@pytest.mark.skipif(not is_root(), reason="it takes root to run programs as another user")
def test_program_of_another_user_is_signalled_and_no_other_process_of_that_user(
    api: Api,
) -> None:
    script = 'trap "echo $0 heard" USR1; echo ready; while :; do sleep 0.05; done'
    chosen, other = (api.add(shell(script), user=OTHER_USER, directory="/") for _ in range(2))
    for each in (chosen, other):
        assert psutil.Process(started(api, each)).username() == OTHER_USER
        eventually(lambda each=each: api.logs(each) == "ready")
    api.ok(f"programs/{chosen}/signal", {"signal": "USR1", "scope": "tree"})
    eventually(lambda: "heard" in api.logs(chosen))
    assert api.logs(other) == "ready"


def test_log_of_supervisord_says_who_asked(api: Api, stack: Stack) -> None:
    """The history does not: no state has changed."""
    id = api.add()
    started(api, id)
    api.ok(f"programs/{id}/signal", {"signal": "CONT"})
    line = f"SIGCONT sent to the main of 'program-{id}', requested by api:admin"
    eventually(lambda: line in stack.output.read_text())
