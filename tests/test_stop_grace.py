"""``stop_grace_seconds``: the time from SIGTERM to SIGKILL, of lasting and of temporary programs."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.processes import shell, started, tree
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import Quick
from tests.temporary_programs import tree as tree_of_launch

STUBBORN = shell(
    "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 1000\" & echo ready; while :; do sleep 1; done"
)


def ready(api: Api, id: int) -> None:
    started(api, id)
    eventually(lambda: api.logs(id) == "ready")


def stop(api: Api, route: str) -> float:
    """How long a stop takes."""
    started_at = time.monotonic()
    api.ok(route)
    return time.monotonic() - started_at


def test_nothing_is_asked_without_grace(api: Api, stack: Stack, tmp_path: Path) -> None:
    """SIGKILL is sent to the whole tree at once, and SIGTERM to no process."""
    trace = tmp_path / "trace"
    tidy = (
        f"trap 'echo term > {trace}; exit' TERM; setsid sleep 1000 & echo ready; while :; do sleep 0.05; done"
    )
    id = api.add(shell(tidy), stop_grace_seconds=0)
    ready(api, id)
    assert stop(api, f"programs/{id}/stop") < 8
    assert tree(stack, id) == []
    assert not trace.exists()


@pytest.mark.parametrize("grace", [0, 1])
def test_tree_that_heeds_no_sigterm_is_killed_when_its_time_is_over(
    api: Api, stack: Stack, grace: int
) -> None:
    id = api.add(STUBBORN, stop_grace_seconds=grace)
    ready(api, id)
    took = stop(api, f"programs/{id}/stop")
    assert grace <= took < grace + 8
    assert tree(stack, id) == []


def test_change_is_for_the_next_stop_of_what_runs(api: Api, stack: Stack) -> None:
    id = api.add(STUBBORN, stop_grace_seconds=300)
    ready(api, id)
    pid = api.pid(id)
    api.ok(f"programs/edit/{id}", {"stop_grace_seconds": 1})
    assert api.pid(id) == pid
    assert stop(api, f"programs/{id}/stop") < 9
    assert tree(stack, id) == []


def test_what_a_program_leaves_behind_has_its_time_too(api: Api, stack: Stack) -> None:
    left = shell("setsid sh -c \"trap '' TERM; echo ready; sleep 1000\" & sleep 0.5")
    id = api.add(left, stop_grace_seconds=1, autorestart="false")
    api.ok(f"programs/{id}/start")
    eventually(lambda: api.logs(id) == "ready")
    api.until(id, "exited")
    eventually(lambda: tree(stack, id) == [], 9)


def test_temporary_program_has_one_as_well(quick: Quick, stack: Stack) -> None:
    id = quick.run(STUBBORN, stop_grace_seconds=1)
    eventually(lambda: quick.logs(id) == "ready")
    started_at = time.monotonic()
    quick.stop(id)
    assert 1 <= time.monotonic() - started_at < 9
    assert tree_of_launch(stack, id) == []


def test_slow_stops_leave_room_for_others(own_stack: Stack) -> None:
    """A quarter of the threads may wait for stops. Further requests are answered soon; the stop goes on."""
    own_stack.environment["DAEMON_THREADS"] = "8"
    api = own_stack.start().api
    ids = [api.add(STUBBORN, stop_grace_seconds=20) for _ in range(8)]
    for id in ids:
        ready(api, id)
    with ThreadPoolExecutor(len(ids)) as pool:
        stops = list(pool.map(lambda each: own_stack.api.post(f"programs/{each}/stop"), ids))
        codes = [answer.status_code for answer in stops]
    assert sorted(codes) == [200, 200, *[504] * 6]
    refused = next(answer for answer in stops if answer.status_code == 504)
    assert refused.json()["error"].endswith("is still being stopped")
    for id in ids:
        api.until(id, "stopped", timeout=40)


def test_end_of_the_stack_keeps_to_it(own_stack: Stack, tmp_path: Path) -> None:
    """The time of each, side by side; one that needs more than ten seconds gets them."""
    trace = tmp_path / "trace"
    slow = f"trap 'sleep 12; echo done > {trace}; exit' TERM; echo ready; while :; do sleep 0.05; done"
    api = own_stack.start().api
    ids = [
        api.add(shell(slow), stop_grace_seconds=60),
        api.add(STUBBORN, stop_grace_seconds=1),
        api.add(STUBBORN, stop_grace_seconds=0),
    ]
    for id in ids:
        ready(api, id)
    assert own_stack.stop(120) == 0
    assert trace.read_text() == "done\n"
    assert own_stack.processes() == []


def test_end_of_the_stack_takes_no_longer_for_each_program(own_stack: Stack) -> None:
    api = own_stack.start().api
    for _ in range(60):
        api.add()  # which do not even run
    assert own_stack.stop(30) == 0
