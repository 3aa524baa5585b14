"""``memory_limit_bytes``: what uses more for a while is restarted, and looking costs next to nothing."""

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from daemon_programs.supervisor.plugin.memory import LOOK_SECONDS, MemoryWatch, WatchedTree
from daemon_programs.supervisor.processes.memory import Measurement
from tests.processes import python, shell, started
from tests.stack import OWN_USER, Api, Stack, eventually
from tests.temporary_programs import Quick

MIB = 1024 * 1024
# It takes as many MiB as its argument says, and keeps them.
EATS = "import sys, time\ntaken = bytearray(b'x') * (int(sys.argv[1]) << 20)\ntime.sleep(1000)"
SEVERAL = (
    "import subprocess, sys\n"
    f"for each in range(4): subprocess.Popen([sys.executable, '-c', {EATS!r}, '30'])\n"
    "import time; time.sleep(1000)"
)


def events(api: Api, id: int) -> list[dict[str, Any]]:
    answer = api.get(f"programs/{id}/events").json()
    return list(reversed(answer["events"]))


def test_program_above_its_limit_is_restarted(api: Api) -> None:
    id = api.add(python(EATS, "80"), memory_limit_bytes=60 * MIB)
    pid = started(api, id)
    eventually(lambda: api.pid(id) not in (None, pid), 30, "it was restarted")
    expected = [("stopping", "memory"), ("backoff", "memory"), ("starting", "supervisord")]
    eventually(lambda: [(each["state"], each["by"]) for each in events(api, id)][2:5] == expected)
    last_run = api.status(id)["last_run"]
    assert (last_run["signal"], last_run["reason"]) == ("SIGTERM", "memory")


def test_memory_of_the_whole_tree_counts(api: Api, stack: Stack) -> None:
    """Also of what has lost its parent."""
    id = api.add(shell('"$@" & exec sleep 1000', *shlex.split(python(SEVERAL))), memory_limit_bytes=100 * MIB)
    pid = started(api, id)
    eventually(lambda: api.pid(id) not in (None, pid), 30, "it was restarted")
    assert api.status(id)["last_run"]["reason"] == "memory"


def test_program_below_its_limit_is_left_alone(api: Api) -> None:
    id = api.add(python(EATS, "20"), memory_limit_bytes=200 * MIB)
    pid = started(api, id)
    time.sleep(3 * LOOK_SECONDS)
    assert api.pid(id) == pid


def test_limit_applies_to_what_runs_already(api: Api) -> None:
    """It can be set, and taken back, without a restart."""
    id = api.add(python(EATS, "80"))
    pid = started(api, id)
    api.ok(f"programs/edit/{id}", {"memory_limit_bytes": 60 * MIB})
    api.ok(f"programs/edit/{id}", {"memory_limit_bytes": None})
    assert "memory_limit_bytes" not in api.get(f"programs/{id}").json()["program"]
    time.sleep(2 * LOOK_SECONDS + 1)
    assert api.pid(id) == pid
    api.ok(f"programs/edit/{id}", {"memory_limit_bytes": 60 * MIB})
    assert api.pid(id) == pid
    eventually(lambda: api.pid(id) not in (None, pid), 30, "it was restarted")


def test_one_instance_of_a_port_range_is_restarted(api: Api) -> None:
    ports = {"start": 64_020, "end": 64_021}
    code = f"import sys\nsys.argv[1] = '80' if sys.argv[1] == '64021' else '1'\n{EATS}"
    id = api.add(python(code, "{port}"), port_range=ports, memory_limit_bytes=60 * MIB)
    api.ok(f"programs/{id}/start", {"all": True, "wait": True})
    eventually(lambda: api.status(id, port=64_021).get("last_run"), 30, "it was restarted")
    assert api.status(id, port=64_021)["last_run"]["reason"] == "memory"
    assert "last_run" not in api.status(id, port=64_020)


def test_temporary_program_above_its_limit_is_ended(quick: Quick) -> None:
    id = quick.run(python(EATS, "80"), memory_limit_bytes=60 * MIB)
    ended = quick.ended(id, 30)
    assert ended["status"] == "stopped"
    assert ended["last_run"]["error"] == "stopped because it used more memory than memory_limit_bytes"


BETWEEN = "Field 'memory_limit_bytes' must be between 1048576 and 9007199254740991"


@pytest.mark.parametrize("value", [0, -1, MIB - 1, 2**53])
def test_limits_out_of_range_are_refused(api: Api, value: int) -> None:
    body = {"name": "refused", "command": "true", "user": OWN_USER, "memory_limit_bytes": value}
    assert api.refused("programs/add", body) == BETWEEN


@pytest.mark.parametrize("value", ["64M", 1e9, True, [MIB]])
def test_other_types_are_refused(api: Api, value: Any) -> None:
    sentence = "Field 'memory_limit_bytes' must be an integer"
    assert api.refused(f"programs/edit/{api.add()}", {"memory_limit_bytes": value}) == sentence


# Below: the watch and the measurement by themselves.


class Watch(MemoryWatch):
    """A watch that is stepped by hand."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []
        self.logged: list[str] = []
        super().__init__(lambda deadline, call: self.calls.append((deadline, call)), self.logged.append)

    def look_at_all(self) -> None:
        """Step through one round: on a busy machine it takes more than one turn."""
        self.turn()
        while self._round:
            self.turn()

    def turn(self) -> None:
        _, call = self.calls.pop()
        call()


def test_one_look_above_the_limit_is_not_enough() -> None:
    roots, told = [os.getpid()], list[str]()
    watch = Watch()
    watch.watch(WatchedTree(MIB, roots=lambda: roots, exceed=lambda: told.append("exceeded")))
    watch.look_at_all()
    roots.clear()
    watch.look_at_all()
    roots.append(os.getpid())
    watch.look_at_all()
    assert told == []
    watch.look_at_all()
    assert told == ["exceeded"]


def test_nothing_is_looked_at_while_there_is_nothing_to_look_at() -> None:
    watch = Watch()
    assert watch.calls == []
    tree = WatchedTree(MIB, roots=list, exceed=lambda: None)
    watch.watch(tree)
    watch.forget(tree)
    watch.look_at_all()
    assert watch.calls == []
    watch.watch(tree)
    (call,) = watch.calls
    assert LOOK_SECONDS - 1 < call[0] - time.monotonic() <= LOOK_SECONDS


def test_fault_of_one_tree_is_logged_and_ends_no_watch() -> None:
    watch, told = Watch(), list[str]()
    watch.watch(WatchedTree(MIB, roots=lambda: 1 / 0, exceed=lambda: None))  # type: ignore[return-value]
    watch.watch(WatchedTree(MIB, roots=lambda: [os.getpid()], exceed=lambda: told.append("exceeded")))
    watch.look_at_all()
    watch.look_at_all()
    assert told == ["exceeded"]
    assert "ZeroDivisionError" in watch.logged[0]


@pytest.fixture
def crowd() -> Iterator[int]:
    """A process with 300 children: its pid."""
    code = "import os, time\nfor each in range(300): os.fork() or time.sleep(1000)\nprint(flush=True)\n"
    command = ["python3", "-c", f"{code}time.sleep(1000)"]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    yield parent.pid
    for process in [*psutil.Process(parent.pid).children(), parent]:
        process.kill()
    parent.wait()
    parent.stdout.close()


def test_large_tree_is_measured_in_steps(crowd: int) -> None:
    """A step takes no longer than it may; the trees take turns."""
    watch, told = Watch(), list[str]()
    watch.watch(WatchedTree(2**60, roots=lambda: [crowd], exceed=lambda: told.append("crowd")))
    watch.watch(WatchedTree(MIB, roots=lambda: [os.getpid()], exceed=lambda: told.append("own")))
    steps, longest = 0, 0.0
    while "own" not in told:
        begun = time.process_time()
        watch.turn()
        longest = max(longest, time.process_time() - begun)
        steps += 1
    assert 2 < steps < 100
    assert longest < 0.05
    deadline, _ = watch.calls[-1]
    assert deadline > time.monotonic()


def test_sum_is_that_of_all_processes(crowd: int) -> None:
    measurement = Measurement([crowd], enough=2**60)
    assert measurement.go_on(until=time.monotonic() + 60)
    expected = sum(
        process.memory_info().rss for process in [*psutil.Process(crowd).children(), psutil.Process(crowd)]
    )
    assert measurement.bytes == pytest.approx(expected, rel=0.1)


def test_measurement_ends_once_it_has_found_enough(crowd: int) -> None:
    measurement = Measurement([crowd], enough=20 * MIB)
    assert measurement.go_on(until=time.monotonic() + 60)
    assert measurement.is_enough
    assert measurement.bytes < 60 * MIB


def test_process_that_has_ended_has_no_memory() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    measurement = Measurement([child.pid], enough=0)
    assert measurement.go_on(until=time.monotonic() + 60)
    assert measurement.bytes == 0
    assert not Path(f"/proc/{child.pid}").exists()
