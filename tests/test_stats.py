"""``stats``: what programs use, over their whole process trees."""

import os
import re
import time
from datetime import datetime
from typing import Any

import psutil
import pytest

from daemon_programs.programs.observed import stats
from daemon_programs.supervisor.client import Supervisor
from tests.processes import BECOMES, LONG_RUNNING, python, shell, started, tree
from tests.stack import Api, Stack, eventually

PORTS = {"start": 64000, "end": 64002}
BUSY = python("while True: pass")


def stats_of(api: Api, id: int, processes: int = 1, **query: Any) -> dict[str, Any]:
    """The stats of a program, or of an instance, once its tree has so many processes."""

    def read() -> Any:
        answer = api.status(id, **query)
        shown = answer["instance"].get("stats") if query else answer.get("stats")
        return shown and shown["process_count"] == processes and shown

    return eventually(read, what=f"{processes} processes")


def listed(api: Api, id: int) -> dict[str, Any]:
    programs = api.get("programs", include_stats="true").json()["programs"]
    return next(program for program in programs if program["id"] == id)


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.6, 0.9])
def test_start_is_not_told_a_second_early(api: Api, fraction: float) -> None:
    """The system counts from its own start, whose time is told in whole seconds."""
    id = api.add(LONG_RUNNING)
    time.sleep(-(time.time() - fraction) % 1)
    before = time.time()
    started(api, id)
    began = datetime.fromisoformat(stats_of(api, id)["started_at"]).timestamp()
    assert int(before) <= began <= time.time()
    listed_at = listed(api, id)["stats"]["started_at"]
    assert datetime.fromisoformat(listed_at).timestamp() == began


def test_shape_is_that_of_the_contract(api: Api) -> None:
    id = api.add(LONG_RUNNING)
    pid = started(api, id)
    # The shell becomes the command that is shown.
    shown = eventually(lambda: (now := stats_of(api, id))["processes"][0]["command"] == BECOMES and now)
    assert list(shown) == [
        "pid",
        "started_at",
        "cpu_percent",
        "memory_rss_bytes",
        "process_count",
        "processes",
    ]
    assert list(shown["processes"][0]) == ["pid", "command", "cpu_percent", "memory_rss_bytes"]
    assert shown["pid"] == shown["processes"][0]["pid"] == pid
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["started_at"])
    began = datetime.fromisoformat(shown["started_at"]).timestamp()
    assert abs(began - psutil.Process(pid).create_time()) <= 1
    for measured in (shown, shown["processes"][0]):
        assert type(measured["cpu_percent"]) is float
        assert type(measured["memory_rss_bytes"]) is int
    assert shown["memory_rss_bytes"] > 0


def test_only_a_live_process_has_stats(api: Api) -> None:
    id = api.add(LONG_RUNNING)
    disabled = api.add(enabled=False)
    exited = api.add("true")
    api.ok(f"programs/{exited}/start", {"wait": True})
    for each in (id, disabled, exited):
        assert "stats" not in api.status(each)
        assert "stats" not in listed(api, each)
    started(api, id)
    assert "stats" in api.status(id)
    assert "stats" in listed(api, id)
    api.ok(f"programs/{id}/stop")
    assert "stats" not in api.status(id)
    assert "stats" not in listed(api, id)


def test_stats_are_only_in_lists_that_ask_for_them(api: Api) -> None:
    id = api.add(LONG_RUNNING)
    started(api, id)
    for query in ({}, {"include_status": "true"}, {"include_stats": "false"}):
        programs = api.get("programs", **query).json()["programs"]
        assert "stats" not in next(program for program in programs if program["id"] == id)
    assert "stats" not in api.get(f"programs/{id}").json()["program"]
    assert listed(api, id)["status"]["status"] in ("starting", "running")  # implied


def test_tree_is_counted_whole(api: Api) -> None:
    id = api.add(shell("sh -c 'sleep 1000 & wait' & sleep 1000 & wait"))
    pid = started(api, id)
    shown = stats_of(api, id, processes=4)
    assert shown["processes"][0]["command"].startswith("sh -c sh -c 'sleep 1000 &")
    below = {each.pid for each in psutil.Process(pid).children(recursive=True)}
    assert {each["pid"] for each in shown["processes"]} == {pid, *below}
    assert shown["memory_rss_bytes"] == sum(each["memory_rss_bytes"] for each in shown["processes"])
    total = sum(each["cpu_percent"] for each in shown["processes"])
    assert shown["cpu_percent"] == pytest.approx(total, abs=0.05)
    in_list = listed(api, id)["stats"]
    assert {each["pid"] for each in in_list["processes"]} == {pid, *below}


# A grandchild in a session of its own, with a child; its parent has ended: only its mark tells.
LEAVES_AN_ORPHAN = shell("(setsid sh -c 'sleep 1000; true' &); exec sleep 1000")


def test_reparented_grandchild_is_counted_and_stop_ends_it(api: Api, stack: Stack) -> None:
    id = api.add(LEAVES_AN_ORPHAN)
    started(api, id)
    pid, orphan, child = (each["pid"] for each in stats_of(api, id, processes=3)["processes"])
    assert os.getsid(orphan) == os.getsid(child) == orphan
    assert psutil.Process(orphan).ppid() == psutil.Process(pid).ppid() == stack.supervisord_pid
    assert [each["pid"] for each in listed(api, id)["stats"]["processes"]] == [pid, orphan, child]
    api.ok(f"programs/{id}/stop")
    assert tree(stack, id) == []
    assert not psutil.pid_exists(child)


def test_orphan_belongs_to_its_own_instance(api: Api) -> None:
    id = api.add(LEAVES_AN_ORPHAN + " {port}", port_range=PORTS)
    started(api, id, 64000)
    started(api, id, 64002)
    first = stats_of(api, id, processes=3, port=64000)
    second = stats_of(api, id, processes=3, port=64002)
    assert {each["pid"] for each in first["processes"]} & {
        each["pid"] for each in second["processes"]
    } == set()


def test_orphan_that_says_it_is_of_another_stack_is_counted_and_ended(api: Api) -> None:
    """Whose a process is does not depend on its environment."""
    script = "(SUPERVISOR_SERVER_URL=unix:///elsewhere setsid sleep 1000 & echo $!); exec sleep 1000"
    id = api.add(shell(script))
    started(api, id)
    orphan = psutil.Process(int(eventually(lambda: api.logs(id))))
    eventually(lambda: orphan.name() == "sleep" and orphan.ppid() == psutil.Process(api.pid(id)).ppid())
    assert stats_of(api, id, processes=2)["processes"][1]["pid"] == orphan.pid
    assert listed(api, id)["stats"]["process_count"] == 2
    api.ok(f"programs/{id}/stop")
    assert not orphan.is_running()


def test_zombie_is_not_counted(api: Api) -> None:
    id = api.add(python("import os, time; os.fork() or os._exit(0); time.sleep(1000)"))
    pid = started(api, id)
    eventually(lambda: [each.status() for each in psutil.Process(pid).children()] == [psutil.STATUS_ZOMBIE])
    assert api.status(id)["stats"]["process_count"] == 1
    assert listed(api, id)["stats"]["process_count"] == 1


def test_port_range_has_stats_per_instance(api: Api) -> None:
    id = api.add("sleep 1000 {port}", port_range=PORTS)
    pids = {port: started(api, id, port) for port in (64000, 64002)}
    program = listed(api, id)
    assert "stats" not in program
    instances = program["status"]["instances"]
    assert {each["port"]: each["stats"]["pid"] for each in instances} == pids
    for port, pid in pids.items():
        shown = api.status(id, port=port)["instance"]
        assert shown["stats"]["pid"] == shown["pid"] == pid
        assert shown["stats"]["processes"][0]["command"] == f"sleep 1000 {port}"
    assert "stats" not in api.status(id, port=64001)["instance"]


def test_what_is_no_text_in_a_command_line_is_replaced(api: Api) -> None:
    id = api.add(python("import os; os.execv('/bin/sh', [b'sh', b'-c', b'sleep 1000; :', b'\\xff\\xe9'])"))
    started(api, id)
    command = eventually(lambda: (shown := only_command(api, id)).startswith("sh -c") and shown)
    assert command == "sh -c sleep 1000; : \ufffd\ufffd"


def test_long_command_line_is_cut(api: Api) -> None:
    id = api.add(f"sh -c 'sleep 1000; :' {'x' * 10_000}")
    started(api, id)
    assert only_command(api, id) == ("sh -c sleep 1000; : " + "x" * 10_000)[:4096]


def only_command(api: Api, id: int) -> str:
    return str(api.status(id)["stats"]["processes"][0]["command"])


def cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def test_busy_loop_is_a_core_kept_busy(api: Api) -> None:
    """It uses what the kernel gives it, which may be less than a core under other load."""
    id = api.add(BUSY)
    pid = started(api, id)
    api.status(id)
    since, used = time.monotonic(), cpu_seconds(pid)
    eventually(lambda: time.monotonic() > since + 1.5)
    shown = api.status(id)["stats"]["cpu_percent"]
    share = (cpu_seconds(pid) - used) / (time.monotonic() - since) * 100
    assert shown == pytest.approx(share, abs=25)
    assert 10 < shown < 125


def test_idle_program_uses_nothing_whatever_it_did_before(api: Api) -> None:
    burn = "import time\nwhile time.process_time() < 0.5: pass\nprint('idle', flush=True)\ntime.sleep(1000)"
    id = api.add(python(f"exec({burn!r})"))
    started(api, id)
    eventually(lambda: api.logs(id) == "idle", 30)
    eventually(lambda: api.status(id)["stats"]["cpu_percent"] > 0)  # what it did is seen first
    eventually(lambda: api.status(id)["stats"]["cpu_percent"] < 5, 10)


def test_cpu_percent_means_the_same_in_every_answer(api: Api) -> None:
    """Usage is measured at most once a second for all requests; responses in between have the same figure."""
    id = api.add(BUSY)
    started(api, id)

    def agree() -> bool:
        before = time.monotonic()
        figures = [
            api.status(id)["stats"]["cpu_percent"],
            listed(api, id)["stats"]["cpu_percent"],
            api.status(id)["stats"]["cpu_percent"],
        ]
        if time.monotonic() - before > 0.5:
            return False  # a busy machine: too slow to tell
        assert len(set(figures)) <= 2, figures  # a second may have been over in between
        return len(set(figures)) == 1

    for _ in range(3):
        eventually(agree, 30)


def test_one_sweep_however_many_programs(api: Api, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [api.add(LEAVES_AN_ORPHAN) for _ in range(5)]
    pids = {f"program-{id}": started(api, id) for id in ids}
    ports = api.add(f"{LONG_RUNNING} {{port}}", port_range=PORTS)
    instances = {str(port): started(api, ports, port) for port in (64000, 64001)}
    states = Supervisor(stack.folder / "supervisor.sock").states()["programs"]
    sweeps = []
    processes = stats.tree.processes
    monkeypatch.setattr(stats.tree, "processes", lambda: sweeps.append(1) or processes())
    measured = stats.measure(states)
    assert len(sweeps) == 1
    assert {owner: shown["pid"] for owner, shown in measured.items()} == {
        **{(group, group): pid for group, pid in pids.items()},
        **{(f"program-{ports}", name): pid for name, pid in instances.items()},
    }
    # and a single one is found without any
    group = f"program-{ids[0]}"
    assert stats.measure({group: states[group]})[group, group]["pid"] == pids[group]
    assert len(sweeps) == 1


def test_nothing_that_runs_has_no_stats() -> None:
    assert stats.measure({}) == {}
    process = {"state": "running", "pid": 2**22 + 1, "started_at": 1.0}
    gone = {"program-1": {"processes": {"program-1": process}}}
    assert stats.measure(gone) == {}
