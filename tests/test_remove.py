"""``POST programs/remove/{id}``."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.processes import shell, started, tree
from tests.stack import Api, Stack, eventually


def test_removed_program_is_gone_everywhere(api: Api, stack: Stack) -> None:
    id = api.add(name="to go")
    file = stack.folder / "conf.d" / f"program-{id}.json"
    assert file.exists()
    assert api.ok(f"programs/remove/{id}") == {"success": True, "id": id}
    assert not file.exists()
    assert api.get("programs", name="to go").json() == {"programs": []}
    assert id not in {each["id"] for each in api.get("status").json()["statuses"]}
    for route in (f"programs/{id}", f"programs/{id}/logs", f"status/{id}"):
        answer = api.get(route)
        assert answer.status_code == 404
        assert answer.json()["error"] == f"Program with ID {id} not found"
    for verb in (f"remove/{id}", f"edit/{id}", f"{id}/start", f"{id}/stop", f"{id}/enable", f"{id}/disable"):
        assert api.refused(f"programs/{verb}", {}, 404) == f"Program with ID {id} not found"


def test_running_program_is_stopped_first(api: Api, stack: Stack, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    script = f"trap 'touch {marker}; exit' TERM; echo ready; while :; do sleep 0.05; done"
    id = api.add(shell(script), autorestart="true")
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")
    api.ok(f"programs/remove/{id}")
    assert marker.exists()
    assert tree(stack, id) == []


def test_log_files_stay(api: Api, stack: Stack) -> None:
    id = api.add("echo kept", name="logs stay")
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/remove/{id}")
    assert (stack.folder / "logs" / "logs stay" / "stdout.log").read_text() == "kept\n"


def test_every_state_can_be_removed(api: Api, stack: Stack) -> None:
    waiting = api.add(delay_seconds=3600)
    crashing = api.add(shell("exit 1"))
    for id in (waiting, crashing):
        api.ok(f"programs/{id}/start")
    api.until(crashing, "backoff")
    for id in (waiting, crashing, api.add(enabled=False), api.add()):
        api.ok(f"programs/remove/{id}")
        assert tree(stack, id) == []


def test_remove_disturbs_no_other_program(api: Api) -> None:
    id, other = api.add(), api.add()
    started(api, id)
    pid = started(api, other)
    api.ok(f"programs/remove/{id}")
    assert api.pid(other) == pid


def test_port_range_is_removed_with_all_instances(api: Api, stack: Stack) -> None:
    id = api.add("sleep 1000 {port}", port_range={"start": 64000, "end": 64004}, boot=True)
    eventually(lambda: len(tree(stack, id)) == 5)
    api.ok(f"programs/remove/{id}")
    assert tree(stack, id) == []


def test_of_concurrent_removals_one_succeeds(api: Api, stack: Stack) -> None:
    id = api.add()
    started(api, id)
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda _: stack.api.post(f"programs/remove/{id}").status_code, range(6)))
    assert sorted(codes) == [200, *[404] * 5]


def test_start_during_a_removal_leaves_no_process(api: Api, stack: Stack) -> None:
    ids = [api.add() for _ in range(10)]

    def race(id: int) -> None:
        with ThreadPoolExecutor(2) as pool:
            starting = pool.submit(stack.api.post, f"programs/{id}/start")
            pool.submit(stack.api.ok, f"programs/remove/{id}").result(60)
            assert starting.result(60).status_code in (200, 400, 404, 503)

    for id in ids:
        race(id)
        assert tree(stack, id) == []
        assert not (stack.folder / "conf.d" / f"program-{id}.json").exists()


def test_remove_wins_over_a_start_that_comes_meanwhile(api: Api) -> None:
    """The program is not launched once more while its removal waits for its end."""
    stubborn = shell("trap '' TERM; echo launched; while :; do sleep 0.05; done")
    id = api.add(stubborn, stop_grace_seconds=2)
    api.ok(f"programs/{id}/start", {"wait": True})
    eventually(lambda: "launched" in api.logs(id))
    log = api.get(f"programs/{id}").json()["program"]["stdout_logfile"]
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        removal = pool.submit(api.ok, f"programs/remove/{id}")
        eventually(lambda: api.get(f"programs/{id}").status_code == 404)
        assert api.post(f"programs/{id}/start").status_code == 404
        assert removal.result() == {"success": True, "id": id}
    assert time.monotonic() - begun < 4, "one grace period, not two"
    assert Path(log).read_text() == "launched\n"


def test_removal_that_is_killed_in_the_middle_leaves_the_program_running(own_stack: Stack) -> None:
    """Supervisord learns of a removal after the commit, so a row that is back has its process."""
    own_stack.start()
    id = own_stack.api.add("sleep 1000")
    own_stack.api.ok(f"programs/{id}/start", {"wait": True})
    pid = own_stack.api.pid(id)
    script = f"""
import os
from django.db import transaction
from daemon_programs.models import Program
from daemon_programs.transactions import write_transaction
with write_transaction():
    Program.objects.get(pk={id}).delete()
    os._exit(9)
"""
    assert own_stack.manage("shell", "-v", "0", "--no-imports", "-c", script).returncode == 9
    assert own_stack.manage("reconcile").returncode == 0
    assert own_stack.api.pid(id) == pid
