"""The time to live: exact while everything works, and just as exact while only supervisord does."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.processes import shell
from tests.stack import Stack, eventually
from tests.temporary_programs import (
    EXPIRED,
    FORKS,
    STUBBORN,
    Quick,
    created,
    forked,
    suspended,
    time_written,
    timestamp,
    tree,
    until_gone,
)

# It writes the time at which it receives SIGTERM.
NOTES_ITS_END = shell("trap 'date +%s.%N > $1; exit 0' TERM; echo ready; sleep 1000 & wait", "{}")


def last_run(answer: dict[str, Any]) -> tuple[Any, Any, Any]:
    return tuple(answer["last_run"][key] for key in ("exit_code", "signal", "error"))  # type: ignore[return-value]


def launch_three(quick: Quick, folder: Path) -> dict[str, int]:
    """Programs that live for one, two and five seconds: their ids, and for how long."""
    return {quick.run(NOTES_ITS_END.format(folder / str(ttl)), ttl=ttl): ttl for ttl in (1, 2, 5)}


def check_ends(launched: dict[str, int], folder: Path) -> None:
    """Check that each received SIGTERM at the end of its time to live: never early, and hardly late."""
    for id, ttl in launched.items():
        late = time_written(folder / str(ttl), timeout=ttl + 20) - (created(id) + ttl)
        print(f"ttl {ttl}: told to stop {late * 1000:.0f} ms after its time")
        assert -0.01 < late < 2


def test_program_is_stopped_when_its_time_is_over(quick: Quick, tmp_path: Path) -> None:
    launched = launch_three(quick, tmp_path)
    check_ends(launched, tmp_path)
    for id in launched:
        answer = quick.ended(id)
        assert answer["status"] == "stopped"
        assert last_run(answer) == (0, None, EXPIRED)
    until_gone(quick.stack, launched)


def test_time_is_kept_while_everything_but_supervisord_stands_still(
    quick: Quick, stack: Stack, tmp_path: Path
) -> None:
    launched = launch_three(quick, tmp_path)
    with suspended(stack, "api", "scheduler", "listener"):
        check_ends(launched, tmp_path)
        eventually(lambda: not any(tree(stack, id) for id in launched), what="they are gone")
    for id in launched:
        assert last_run(quick.ended(id)) == (0, None, EXPIRED)
    until_gone(stack, launched)


def test_whole_tree_is_gone_after_its_time(quick: Quick, stack: Stack) -> None:
    id = quick.run(FORKS, ttl=3)
    eventually(lambda: forked(stack, id), what="all of the tree is there")
    assert last_run(quick.ended(id)) == (None, "SIGTERM", EXPIRED)
    assert tree(stack, id) == []


def test_program_that_ignores_sigterm_is_killed_after_its_grace_period(quick: Quick, stack: Stack) -> None:
    """After a stop as well as at the end of its time."""
    expiring, stopped = quick.run(STUBBORN, ttl=2), quick.run(STUBBORN)
    for id in (expiring, stopped):
        eventually(lambda id=id: quick.logs(id) == "ready")  # noqa: A006
    started_at = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(stack.api.ok, f"quick-start/{stopped}/stop")
        for id in (expiring, stopped):
            quick.until(id, "stopping")
            assert id in quick.listed()
        assert quick.launch("true", wait=True)["status"] == "exited"  # other requests are served
        stopping.result(60)
    assert 9 < time.monotonic() - started_at < 30
    assert last_run(quick.status(stopped)) == (None, "SIGKILL", None)
    assert last_run(quick.ended(expiring)) == (None, "SIGKILL", EXPIRED)
    assert 12 <= time.time() - created(expiring) < 40
    assert not tree(stack, expiring) + tree(stack, stopped)


def test_restarts_end_with_the_time(quick: Quick) -> None:
    id = quick.run("echo ran", autorestart="true", ttl=3)
    answer = quick.ended(id)
    assert answer["status"] == "stopped"
    assert answer["last_run"]["error"] == EXPIRED
    count = quick.logs(id).count("ran")
    assert 1 <= count <= 4
    quick.launch("sleep 1000", wait=True)
    assert quick.logs(id).count("ran") == count


def test_retries_end_with_the_time(quick: Quick) -> None:
    id = quick.run(shell("echo ran; exit 3"), ttl=2)  # between the second try and the third
    answer = quick.ended(id)
    assert answer["status"] == "stopped"
    assert last_run(answer) == (3, None, EXPIRED)
    assert timestamp(answer["last_run"]["ended_at"]) >= int(created(id)) + 2, "that of the stop"
    assert quick.logs(id).count("ran") <= 2


def test_delay_ends_with_the_time_and_the_command_is_never_run(quick: Quick) -> None:
    answer = quick.launch("echo ran", delay_seconds=100, ttl=1, wait="exit")
    assert answer["status"] == "stopped"
    assert last_run(answer) == (None, None, EXPIRED)
    assert answer["stdout"] == ""
    assert answer["duration_seconds"] >= 1


def test_stop_that_was_asked_for_is_no_expiry(quick: Quick, stack: Stack) -> None:
    """The time is over while the program is still being stopped."""
    slow = shell("trap 'sleep 3; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    id = quick.run(slow, ttl=3)
    eventually(lambda: quick.logs(id) == "ready")
    assert time.time() < created(id) + 3, "the machine is too busy for this test"
    quick.stop(id)
    assert time.time() > created(id) + 3
    assert last_run(quick.status(id)) == (7, None, None)


def test_end_of_its_own_is_no_expiry(quick: Quick) -> None:
    """The program has ended, and children that it has left outlive its time."""
    script = "(trap 'sleep 2' TERM; echo ready; while :; do sleep 0.05; done) & sleep 0.5; exit 4"
    id = quick.run(shell(script), ttl=1, autorestart="false")
    assert last_run(quick.ended(id)) == (4, None, None)


def test_signal_at_the_last_moment_is_no_error(quick: Quick) -> None:
    """What ends by itself as its time is over has ended one way or the other, once.

    It may have ended between the decision to stop it and the signal: as a program that ends
    with 0 when it is asked to stop, which can't be told from that.
    """
    ends = ((0, None, None), (0, None, EXPIRED), (None, "SIGTERM", EXPIRED))
    for milliseconds in (990, 1000, 1010):
        id = quick.run(f"sleep {milliseconds / 1000}", ttl=1)
        assert last_run(quick.ended(id)) in ends


def test_waiting_client_learns_that_the_time_is_over(quick: Quick) -> None:
    answer = quick.launch("sleep 1000", ttl=2, wait="exit")
    assert last_run(answer) == (None, "SIGTERM", EXPIRED)
    assert answer["duration_seconds"] >= 2
