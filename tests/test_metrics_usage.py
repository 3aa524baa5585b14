"""``usage``: what whole trees use, and that the time they have used never becomes less."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from daemon_programs.programs.observed import usage
from daemon_programs.supervisor.client import Supervisor
from daemon_programs.supervisor.processes.tree import Identity
from tests.metrics_client import scrape
from tests.processes import LONG_RUNNING, python, shell, started, tree
from tests.stack import Api, Stack, eventually

ROOT, OTHER = Identity(100, 1), Identity(100, 2)  # the same pid, one after the other

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
# A child that burns and ends; its parent waits for it.
WAITS = python(
    f"import os, time\n"
    f"if not os.fork(): exec({BURN!r}); os._exit(0)\n"
    f"os.wait(); print('ended', flush=True); time.sleep(1000)"
)
# As before, but its usage is lost: the parent ignores SIGCHLD.
IGNORES = python(
    f"import os, signal, time\n"
    f"signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    f"pid = os.fork()\n"
    f"if not pid: exec({BURN!r}); print('burnt', flush=True); time.sleep(1000)\n"
    f"time.sleep(1000)"
)


def cpu_seconds(stack: Stack, id: int) -> float | None:
    found = scrape(stack).by("id", "daemon_program_cpu_seconds_total", id=id)
    return found.get(str(id))


# The counter


def test_first_look_counts_everything() -> None:
    assert usage.CpuCounter().count({ROOT: 12.5}, now=0) == {ROOT: 12.5}


def test_more_is_added() -> None:
    counter = usage.CpuCounter()
    counter.count({ROOT: 1.0}, now=0)
    assert counter.count({ROOT: 3.5}, now=10) == {ROOT: 3.5}


def test_what_has_gone_stays_counted() -> None:
    counter = usage.CpuCounter()
    counter.count({ROOT: 8.0}, now=0)
    assert counter.count({ROOT: 2.0}, now=10) == {ROOT: 8.0}
    assert counter.count({ROOT: 3.0}, now=20) == {ROOT: 9.0}


def test_no_more_is_added_than_the_machine_can_do() -> None:
    """A process with a long past, out of sight for one look, isn't counted a second time."""
    counter = usage.CpuCounter()
    counter.count({ROOT: 36_000.0}, now=0)
    counter.count({ROOT: 0.0}, now=10)
    total = counter.count({ROOT: 36_000.0}, now=20)[ROOT]
    assert 36_000 <= total <= 36_000 + 11 * (os.cpu_count() or 1)


def test_next_process_counts_from_zero() -> None:
    counter = usage.CpuCounter()
    counter.count({ROOT: 8.0}, now=0)
    assert counter.count({OTHER: 0.5}, now=10) == {OTHER: 0.5}


# Real trees


def test_busy_program_uses_what_the_kernel_says(api: Api, stack: Stack) -> None:
    id = api.add(python("while True: pass"))
    process = psutil.Process(started(api, id))

    def used() -> float:
        times = process.cpu_times()
        return times.user + times.system

    eventually(lambda: used() > 0.3, 30)
    low = used()
    counted = cpu_seconds(stack, id)
    assert counted is not None
    assert low - 0.1 <= counted <= used() + 0.1


def test_children_that_were_waited_for_are_counted(api: Api, stack: Stack) -> None:
    id = api.add(WAITS)
    started(api, id)
    eventually(lambda: api.logs(id) == "ended", 30)
    assert (cpu_seconds(stack, id) or 0) >= 0.25  # it was not measured before
    assert api.status(id)["stats"]["process_count"] == 1


def test_children_that_are_not_waited_for_stay_counted(api: Api, stack: Stack) -> None:
    id = api.add(IGNORES)
    root = started(api, id)
    eventually(lambda: api.logs(id) == "burnt", 30)
    counted = cpu_seconds(stack, id)
    assert counted is not None
    assert counted >= 0.25  # ticks are hundredths, of two processes
    (child,) = psutil.Process(root).children()
    child.kill()
    eventually(lambda: not child.is_running())
    own = psutil.Process(root).cpu_times()
    assert own.user + own.system + own.children_user + own.children_system < counted
    assert (cpu_seconds(stack, id) or 0) >= counted


def test_restarted_program_counts_from_zero(api: Api, stack: Stack) -> None:
    id = api.add(python(BURN.replace("\n", "\n") + "print('burnt', flush=True); time.sleep(1000)"))
    started(api, id)
    eventually(lambda: "burnt" in api.logs(id), 30)
    before = cpu_seconds(stack, id)
    assert before is not None
    api.ok(f"programs/{id}/stop")
    assert cpu_seconds(stack, id) is None
    api.ok(f"programs/edit/{id}", {"command": LONG_RUNNING})
    started(api, id)
    assert (cpu_seconds(stack, id) or 0) < before


def test_many_looks_at_once_agree(api: Api, stack: Stack) -> None:
    """Later readers never see less, and concurrent readers don't count usage twice."""
    id = api.add(python("while True: pass"))
    pid = started(api, id)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            before = cpu_seconds(stack, id) or 0
            seen = list(pool.map(lambda _: cpu_seconds(stack, id) or 0, range(8)))
            assert min(seen) >= before
    times = psutil.Process(pid).cpu_times()
    assert max(seen) <= times.user + times.system + 0.1


def test_zombie_is_not_counted_as_a_process(api: Api, stack: Stack) -> None:
    id = api.add(python("import os, time; os.fork() or os._exit(0); time.sleep(1000)"))
    pid = started(api, id)
    eventually(lambda: [each.status() for each in psutil.Process(pid).children()] == [psutil.STATUS_ZOMBIE])
    assert scrape(stack).by("id", "daemon_program_processes", id=id) == {str(id): 1}


def test_one_pass_over_the_table_however_many_programs(
    api: Api, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [api.add(shell("(setsid sh -c 'sleep 1000; true' &); exec sleep 1000")) for _ in range(4)]
    pids = {f"program-{id}": started(api, id) for id in ids}
    eventually(lambda: all(len(tree(stack, id)) == 3 for id in ids))
    passes: list[Any] = []
    processes = usage.tree.processes
    monkeypatch.setattr(usage.tree, "processes", lambda: passes.append(1) or processes())

    def whole() -> bool:
        states = Supervisor(stack.folder / "supervisor.sock").states()["programs"]
        passes.clear()
        measured = usage.measure(states)
        assert len(passes) == 1
        return {owner[0]: each.process_count for owner, each in measured.items()} == dict.fromkeys(pids, 3)

    eventually(whole)


def test_what_has_ended_since_is_left_out() -> None:
    assert usage.measure({}) == {}
    gone = {"program-1": {"processes": {"program-1": {"state": "running", "pid": 2**22 + 1}}}}
    assert usage.measure(gone) == {}
