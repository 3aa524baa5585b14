"""``POST programs/{id}/stop``."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.processes import shell, started, tree
from tests.stack import Api, Stack, eventually


def test_stop_answers_when_the_process_is_gone(api: Api) -> None:
    id = api.add()
    pid = started(api, id)
    assert api.ok(f"programs/{id}/stop", {}) == {"success": True}
    assert not psutil.pid_exists(pid)
    assert api.status(id) == {"success": True, "status": {"id": id, "status": "stopped"}}


def test_stopping_what_is_stopped_is_a_success(api: Api) -> None:
    id = api.add()
    for _ in range(2):
        assert api.ok(f"programs/{id}/stop") == {"success": True}


def test_stopping_what_is_disabled_is_a_success(api: Api) -> None:
    assert api.ok(f"programs/{api.add(enabled=False)}/stop") == {"success": True}


def test_stop_of_a_finished_program_keeps_how_it_ended(api: Api) -> None:
    id = api.add("true")
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/{id}/stop")
    assert api.word(id) == "exited"


def test_stop_ends_a_delayed_start(api: Api, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    id = api.add(f"touch {ran}", delay_seconds=1)
    api.ok(f"programs/{id}/start")
    api.ok(f"programs/{id}/stop")
    assert api.word(id) == "stopped"
    later = api.add("true", delay_seconds=2)  # its end is after the moment at which the other was due
    api.ok(f"programs/{later}/start", {"wait": True})
    assert not ran.exists()
    assert api.word(id) == "stopped"


def test_stop_ends_the_waiting_for_a_restart(api: Api) -> None:
    id = api.add(shell("exit 1"))
    api.ok(f"programs/{id}/start")
    api.until(id, "backoff")
    api.ok(f"programs/{id}/stop")
    assert api.word(id) == "stopped"


def test_stopped_program_is_not_restarted_whatever_autorestart_says(api: Api) -> None:
    id = api.add(autorestart="true")
    started(api, id)
    api.until(id, "running")
    api.ok(f"programs/{id}/stop")
    other = api.add()
    api.ok(f"programs/{other}/start", {"wait": True})  # a second later
    assert api.word(id) == "stopped"


def test_program_may_tidy_up_on_sigterm(api: Api, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    tidy_up = "echo term > $1; sleep 0.3; echo done >> $1; exit"
    id = api.add(shell(f"trap '{tidy_up}' TERM; echo ready; while :; do sleep 0.05; done", str(marker)))
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    api.ok(f"programs/{id}/stop")
    assert marker.read_text() == "term\ndone\n"


def test_suspended_program_goes_on_to_tidy_up(api: Api, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    child = "trap 'echo child >> $1; exit' TERM; kill -STOP $$; sleep 1000"
    parent = 'sh -c "$2" sh $1 "$2" & trap \'wait; echo parent >> $1; exit\' TERM; kill -STOP $$'
    id = api.add(shell(parent, str(marker), child), stop_grace_seconds=4)
    pid = started(api, id)
    family = [psutil.Process(pid), *eventually(lambda: psutil.Process(pid).children())]
    eventually(lambda: all(each.status() == psutil.STATUS_STOPPED for each in family))
    started_at = time.monotonic()
    api.ok(f"programs/{id}/stop")
    assert 3 <= time.monotonic() - started_at < 4, "the parent waits for the child, which is asked later"
    assert marker.read_text() == "child\nparent\n"


def test_stop_right_after_start_is_not_lost(api: Api, stack: Stack) -> None:
    id = api.add()
    for _ in range(20):
        api.ok(f"programs/{id}/start")
        started_at = time.monotonic()
        api.ok(f"programs/{id}/stop")
        assert time.monotonic() - started_at < 5, "it was not SIGTERM that ended it"
        assert tree(stack, id) == []


def test_stop_asks_for_no_last_run(api: Api) -> None:
    """What was stopped on request has not failed."""
    id = api.add()
    started(api, id)
    api.ok(f"programs/{id}/stop")
    assert "last_run" not in api.status(id)


def test_program_that_ignores_sigterm_is_killed_after_its_grace_period(api: Api, stack: Stack) -> None:
    stubborn = shell("trap '' TERM; echo ready; while :; do sleep 1; done")
    id, other = api.add(stubborn, autorestart="false"), api.add()
    pid = started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    with ThreadPoolExecutor(2) as pool:
        started_at = time.monotonic()
        stopping = pool.submit(stack.api.ok, f"programs/{id}/stop")
        api.until(id, "stopping")
        # Meanwhile other requests are served, and a requested start is not lost.
        again = pool.submit(stack.api.ok, f"programs/{id}/start", {"wait": True})
        assert started(api, other)
        api.ok(f"programs/edit/{other}", {"environment": {"A": "1"}})
        assert stopping.result(60) == {"success": True}
        took = time.monotonic() - started_at
        assert not psutil.pid_exists(pid)
        assert 9 < took < 25
        assert again.result(60) == {"success": True}
    shells = [process for process in tree(stack, id) if process.name() == "sh"]
    assert [process.pid for process in shells] == [api.pid(id)] != [pid]
    shells[0].kill()  # being removed it would take its time again
    api.until(id, "exited")
