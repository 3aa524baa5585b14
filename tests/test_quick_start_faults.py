"""What becomes of temporary programs when the stack, or a part of it, dies, stands still or is busy."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from daemon_programs.supervisor.client import Supervisor
from tests import database
from tests.processes import shell
from tests.stack import OWN_USER, PROJECT, Stack, eventually, temporary_stack
from tests.temporary_programs import (
    FORKS,
    LOST,
    Quick,
    api_pid,
    files,
    forked,
    groups,
    left_of,
    log_folders,
    mirrored,
    own_processes,
    reconcile,
    records,
    running,
    suspended,
    tree,
    until_gone,
)

AWAY = "supervisord can't be reached; nothing was changed"
BODY = {"command": "sleep 1000", "user": OWN_USER}


def last_run(answer: dict[str, Any]) -> tuple[Any, Any, Any]:
    return tuple(answer["last_run"][key] for key in ("exit_code", "signal", "error"))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def fragile() -> Iterator[Stack]:
    """A stack that the tests of this file may break, as long as they leave it running."""
    with temporary_stack() as stack:
        yield stack.start()


def launch_all_kinds(quick: Quick) -> set[str]:
    """Programs in every state that a live one can have."""
    forking = quick.run(FORKS)
    ids = {
        forking,
        quick.run("true", delay_seconds=1000),
        quick.run(shell("exit 3")),
        quick.run("true", autorestart="true"),
        quick.run(shell("echo ran; exec sleep 1000"), ttl=1000),
    }
    eventually(lambda: forked(quick.stack, forking), what="all of the tree is there")
    eventually(lambda: quick.logs(max(ids)) == "ran")
    eventually(lambda: set(mirrored(quick.stack)) >= ids)
    return ids


def check_lost(quick: Quick, ids: set[str], ran: str) -> None:
    """Check that they ended with the previous stack, left nothing behind, and do not run again."""
    assert not left_of(quick.stack)
    assert quick.listed() == {}
    for id in ids:
        answer = quick.status(id)
        assert answer["status"] == "stopped"
        assert answer["last_run"]["error"] == LOST
        assert quick.logs(id).count("ran") == (id == ran)
    reconcile(quick.stack)
    assert not running(quick.stack)


# The stack


def test_new_installation_has_an_empty_mirror(fragile: Stack) -> None:
    text = (fragile.folder / "ephemeral.json").read_text()
    assert text == '{\n  "ephemeral_programs": []\n}\n'


def test_killed_supervisord_takes_its_temporary_programs_along(fragile: Stack) -> None:
    quick = Quick(fragile)
    ended = quick.launch("echo one", wait="exit")["temporary_id"]
    before = quick.status(ended)
    ids = launch_all_kinds(quick)
    with fragile.without_supervisord():
        check_that_launches_are_503(fragile, quick, max(ids), ended)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fragile.api.post, "quick-start", {**BODY, "wait": "exit", "timeout": 300})
        waited_for = eventually(lambda: next(iter(set(quick.listed()) - ids), None))
        eventually(lambda: set(mirrored(fragile)) >= {waited_for, *ids}, what="the mirror is current")
        fragile.kill_supervisord()
        answer = waiting.result(60)
    assert (answer.status_code, answer.json()["temporary_id"]) == (503, waited_for)
    fragile.start()
    check_lost(quick, ids | {waited_for}, ran=max(ids))
    assert quick.status(ended) == before


def check_that_launches_are_503(stack: Stack, quick: Quick, live: str, ended: str) -> None:
    before = quick.status(ended)
    known = set(records(stack)), files(stack)
    for wait in (False, True, "exit"):
        assert quick.api.refused("quick-start", {**BODY, "wait": wait}, code=503) == AWAY
    assert (set(records(stack)), files(stack)) == known, "what was refused has left nothing"
    assert quick.api.get("quick-start").status_code == 503
    assert quick.api.get(f"quick-start/{live}/status").status_code == 503
    assert quick.api.refused(f"quick-start/{live}/stop", code=503) == AWAY
    assert quick.logs(live) == "ran"
    assert quick.status(ended) == before
    assert quick.stop(ended)["cleaned_up"] is True


def test_restart_of_the_stack_ends_temporary_programs_and_removes_left_overs(fragile: Stack) -> None:
    quick = Quick(fragile)
    ended = quick.launch("echo one", wait="exit")["temporary_id"]
    ids = launch_all_kinds(quick)
    spec = json.loads(read_spec(fragile, max(ids)))
    assert fragile.stop() == 0
    assert not fragile.processes()
    logs = leave_behind(fragile, spec)
    fragile.start()
    check_lost(quick, ids, ran=max(ids))
    assert not logs.exists()
    assert quick.logs(ended) == "one", "logs that have a record stay"


def leave_behind(stack: Stack, spec: dict[str, Any]) -> Path:
    """What a crash leaves of launches that were killed before they were recorded; the log folder."""
    folder = stack.folder / "conf.d"
    logs = stack.folder / "logs" / "quick_sleep_1234567890123456"
    logs.mkdir()
    for stream in ("stdout", "stderr"):
        spec[stream] = str(logs / f"{stream}.log")
        (logs / f"{stream}.log").touch()
    spec["group"] = "quick_1234567890123456"
    (folder / "quick_1234567890123456.json").write_text(json.dumps(spec))
    (folder / ".quick_1234567890123457.json.99.tmp").write_text("{half of a fi")
    (folder / "quick_1234567890123458.json").write_text("{half of a fi")
    (stack.folder / "ephemeral.json").write_text("{half of a fi")
    return logs


def read_spec(stack: Stack, id: str) -> str:
    return (stack.folder / "conf.d" / f"{id}.json").read_text()


def test_reset_of_the_programs_leaves_temporary_ones_alone(fragile: Stack) -> None:
    quick = Quick(fragile)
    id = quick.run()
    pid = quick.pid(id)
    quick.api.ok("programs/reset")
    assert quick.status(id)["pid"] == pid
    quick.stop(id)


# The API


def test_waiting_client_of_an_api_that_restarts_learns_the_id(fragile: Stack) -> None:
    quick = Quick(fragile)
    body = {**BODY, "wait": "exit", "timeout": 300}
    old = api_pid(fragile)
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[requests.Response] = pool.submit(fragile.api.post, "quick-start", body)
        id = eventually(lambda: next(iter(quick.listed()), None))
        quick.until(id, "running")
        os.kill(psutil.Process(old).ppid(), signal.SIGTERM)
        answer = waiting.result(60)
    assert answer.status_code == 503
    assert answer.json()["temporary_id"] == id
    eventually(lambda: api_pid(fragile) not in (None, old), 60, "the API is back")
    assert quick.status(id)["status"] == "running", "it was not the API that ran it"
    quick.stop(id)


def test_killed_api_harms_no_program(fragile: Stack) -> None:
    quick = Quick(fragile)
    id, short = quick.run(), quick.run("sleep 2")
    pid, old = quick.pid(id), api_pid(fragile)
    for victim in (psutil.Process(old).ppid(), old):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    eventually(lambda: api_pid(fragile) not in (None, old), 60, "the API is back")
    assert quick.status(id)["pid"] == pid
    assert last_run(quick.ended(short)) == (0, None, None)
    quick.stop(id)


# The event listener, and the sweep


def test_unnoticed_ends_are_found_by_reconciliation(quick: Quick, stack: Stack) -> None:
    with suspended(stack, "listener", "scheduler"):  # whose own sweep might come first
        failed = quick.run(shell("exit 3"), autorestart="false")
        stopped = quick.run(ttl=1)
        never_begun = quick.run(delay_seconds=1000, ttl=1)
        live = quick.run()
        eventually(lambda: not tree(stack, stopped) and is_over(stack, {failed, stopped, never_begun}))
        assert quick.record(failed)["ended_at"] is None
        assert {failed, stopped, never_begun, live} <= set(quick.listed()), "they await clean-up"
        said = reconcile(stack)
        assert f"{failed} has ended unnoticed: recorded as ended" in said
        assert live not in said
        assert all(quick.is_cleaned_up(id) for id in (failed, stopped, never_begun))
        assert last_run(quick.status(failed)) == (3, None, None)
        assert quick.record(never_begun)["final_status"] == "stopped"
        assert live in quick.listed()
        assert reconcile(stack) == ""
    before = quick.status(failed)
    marker = quick.run("true")
    quick.ended(marker)  # by now the listener has heard of the others too
    assert quick.status(failed) == before
    quick.until(live, "running")


def test_status_needs_no_listener(quick: Quick, stack: Stack) -> None:
    with suspended(stack, "listener"):
        id = quick.run("true")
        assert last_run(quick.until(id, "exited")) == (0, None, None)
        assert quick.launch("true", wait=True)["status"] == "exited"
        stopped = quick.run()
        quick.stop(stopped)
        assert groups(stack) == {id}, "a read writes nothing"
    eventually(lambda: not groups(stack) and not files(stack))


def test_killed_listener_hears_of_what_it_has_missed(quick: Quick, stack: Stack) -> None:
    listener = own_processes(stack, "listener")[0]
    ids = [quick.run(f"sleep 0.{number}") for number in range(9)]
    listener.kill()
    for id in ids:
        assert last_run(quick.ended(id, timeout=30)) == (0, None, None)
    until_gone(stack, ids)


def test_listener_finishes_the_work_of_one_killed_after_the_record(quick: Quick, stack: Stack) -> None:
    with suspended(stack, "scheduler"):  # whose sweep would do it as well, a minute later
        with suspended(stack, "listener"):
            id = quick.run("true")
            eventually(lambda: is_over(stack, {id}))
            update = "UPDATE quick_start_ephemeralprogram SET ended_at = created_at WHERE temporary_id = ?"
            with database.opened(stack.folder) as opened:
                opened.execute(update, [id])
            assert id in left_of(stack)
        until_gone(stack, {id})


def is_over(stack: Stack, ids: set[str]) -> bool:
    states = Supervisor(stack.folder / "supervisor.sock").states()["programs"]
    return all(states[id]["over"] for id in ids)


def test_program_without_a_record_is_ended_by_the_sweep(quick: Quick, stack: Stack) -> None:
    """What is left when the API is killed between the launch and its record."""
    model = quick.run(FORKS)
    id = "quick_1234567890123456"
    logs = stack.folder / "logs" / "quick_sh_1234567890123456"
    spec = read_spec(stack, model).replace(
        json.loads(read_spec(stack, model))["stdout"].split("/")[-2], logs.name
    )
    for _ in range(3):  # the queue's own sweep may come first, but not each time
        (stack.folder / "conf.d" / f"{id}.json").write_text(spec.replace(model, id))
        Supervisor(stack.folder / "supervisor.sock").apply(id)
        eventually(lambda: forked(stack, id) or id not in groups(stack), what="all of the tree is there")
        assert id not in quick.listed()
        assert quick.api.get(f"quick-start/{id}/status").status_code == 404
        if said := reconcile(stack):
            break
        eventually(lambda: id not in left_of(stack))
    assert f"{id} is still there after its end: removed" in said.splitlines()
    eventually(lambda: id not in left_of(stack))
    assert logs.name not in log_folders(stack)
    eventually(lambda: groups(stack) == {model})


def test_sweeps_and_launches_do_not_get_in_each_others_way(quick: Quick, stack: Stack) -> None:
    """What was launched while a sweep looked around is not taken for something that is lost."""
    loop = "from quick_start.tasks import *\nwhile True: reconcile_temporary_programs()"
    with contextlib.ExitStack() as sweeping:
        for _ in range(2):
            sweep = subprocess.Popen(
                [sys.executable, "manage.py", "shell", "--no-imports", "-c", loop],
                cwd=PROJECT, env=stack.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            sweeping.callback(sweep.wait)
            sweeping.callback(sweep.kill)
        marker = stack.folder / "ephemeral.json"
        marker.write_text("")
        eventually(marker.read_text, 30, "a sweep has written it")
        with ThreadPoolExecutor(8) as pool:
            ids = list(pool.map(lambda _: stack.api.ok("quick-start", BODY)["temporary_id"], range(120)))
    quick.ids += ids
    assert set(quick.listed()) >= set(ids)
    assert not [id for id in ids if quick.record(id)["ended_at"]]


def test_launch_that_is_queried_before_it_has_started_is_not_over(quick: Quick, stack: Stack) -> None:
    with ThreadPoolExecutor(16) as pool:
        bodies = [{**BODY, "wait": True, "ttl": 60}] * 48
        answers = list(pool.map(lambda body: stack.api.ok("quick-start", body), bodies))
    quick.ids += [answer["temporary_id"] for answer in answers]
    assert {answer["status"] for answer in answers} == {"running"}


# The database


_SLOW_LAUNCH = f"""
import time
from daemon_programs.transactions import write_transaction
from quick_start.models import EphemeralProgram
with write_transaction():
    record = EphemeralProgram(command="true", user={OWN_USER!r})
    record.assign_identity()
    record.save(force_insert=True)
    time.sleep(2)
print(record.temporary_id)
"""


def test_end_that_comes_before_the_launch_is_recorded_is_not_missed(quick: Quick, stack: Stack) -> None:
    done = stack.manage("shell", "--no-imports", "-c", _SLOW_LAUNCH)
    assert done.returncode == 0, done.stderr
    # Much sooner than the queue would find it.
    assert last_run(quick.ended(done.stdout.strip(), timeout=5)) == (0, None, None)


def test_end_is_not_lost_while_another_process_writes(quick: Quick, stack: Stack) -> None:
    id = quick.run("sleep 0.5")
    with ThreadPoolExecutor(1) as pool:
        with database.opened(stack.folder) as other:
            other.keep_writers_waiting()
            eventually(lambda: is_over(stack, {id}))
            stopping = pool.submit(stack.api.post, f"quick-start/{id}/stop")
            assert quick.api.get("quick-start").status_code == 200
        assert stopping.result(60).status_code == 200
    assert last_run(quick.ended(id)) == (0, None, None)
