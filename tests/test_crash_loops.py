"""Pauses between automatic restarts: they double, and are set back by a stable run or a start by hand."""

import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from daemon_programs.supervisor.plugin.programs.backoff import RestartCounts, RestartPolicy
from tests.events import Event, changes, events
from tests.processes import shell, started
from tests.simulated_process import Simulate
from tests.stack import Api, eventually
from tests.temporary_programs import Quick

CRASHES = shell("sleep 1.1; exit 1")
PORTS = {"start": 24_300, "end": 24_301}


def at(event: Event) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()


def pauses(told: list[Event]) -> list[float]:
    """How long each pause was that is over."""
    return [
        at(after) - at(before)
        for before, after in pairwise(told)
        if (before["state"], after["state"]) == ("backoff", "starting")
    ]


def until_pauses(api: Api, id: int, number: int, timeout: float = 30) -> list[Event]:
    """The events of a program once it has been started again so many times after a pause."""
    return eventually(  # type: ignore[no-any-return]
        lambda: len(pauses(told := events(api, id))) >= number and told, timeout
    )


def check(found: list[float], expected: list[float]) -> None:
    assert len(found) == len(expected)
    for pause, nominal in zip(found, expected, strict=True):
        assert nominal - 0.01 <= pause < nominal + 0.7, found


# The policy


def test_pause_doubles_from_a_second_to_a_minute() -> None:
    assert [RestartPolicy().pause(number) for number in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert RestartPolicy().pause(10**9) == 60


def test_pause_doubles_between_its_two_limits() -> None:
    policy = RestartPolicy(delay_seconds=5, delay_max_seconds=86400)
    assert [policy.pause(number) for number in range(4)] == [5, 10, 20, 40]
    assert policy.pause(14) == 5 * 2**14
    assert policy.pause(15) == policy.pause(10_000) == 86400


def test_delay_of_nothing_is_one_restart_at_once_and_no_busy_loop() -> None:
    assert [RestartPolicy(delay_seconds=0).pause(number) for number in range(5)] == [0, 1, 2, 4, 8]
    assert RestartPolicy(delay_seconds=0, delay_max_seconds=1).pause(100) == 1


def test_pause_varies_by_up_to_a_tenth() -> None:
    counts = RestartCounts()
    counts.since_stable = 3
    found = [counts.next_pause(RestartPolicy()) for _ in range(1000)]
    assert 8 <= min(found) < 8.1
    assert 8.7 < max(found) <= 8.8


# A process, with a clock of its own


@pytest.mark.parametrize("lives", [0.2, 1.2, 20])
def test_length_of_a_run_that_is_not_stable_is_no_matter(simulate: Simulate, lives: float) -> None:
    simulation = simulate(restart_policy=RestartPolicy(start_retries=None))
    simulation.start()
    simulation.run(lives, 5 * (lives + 16))
    starts = simulation.starts
    assert [round(after - before - lives, 1) for before, after in pairwise(starts)][:4] == [1, 2, 4, 8]


def test_two_minutes_of_a_crash_loop_are_eight_starts_at_most(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.start()
    simulation.run(1.2, 120)
    assert len(simulation.starts) == 7
    assert simulation.states[:5] == ["starting", "running", "exited", "backoff", "starting"]
    assert simulation.state == "backoff"


def test_next_start_is_announced_and_kept(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.start()
    announced = []
    for _ in range(7):
        simulation.advance(1.2)
        simulation.end(1)
        shown = simulation.process.snapshot()
        assert shown["state"] == "backoff"
        announced.append(shown["next_start_at"] - 1_001_000)
        simulation.advance(announced[-1] + 1000.001 - simulation.now)
    assert simulation.starts[1:] == pytest.approx(announced)
    assert "next_start_at" not in simulation.process.snapshot()


def test_stable_run_sets_pause_and_counters_back(simulate: Simulate) -> None:
    simulation = simulate(restart_policy=RestartPolicy(stable_seconds=30, limit=2))
    simulation.start()
    for restarts in (1, 2):
        simulation.end(1)
        simulation.advance(5)
        assert simulation.process.snapshot()["restarts_since_stable"] == restarts
    simulation.advance(30)
    shown = simulation.process.snapshot()
    assert (shown["restarts"], "restarts_since_stable" in shown) == (2, False)
    simulation.end(1)
    assert simulation.state == "backoff"
    assert simulation.process.retry_at == simulation.now + 1
    simulation.advance(5)
    assert simulation.process.snapshot()["restarts_since_stable"] == 1


def test_start_on_request_sets_pause_and_counters_back(simulate: Simulate) -> None:
    simulation = simulate()
    simulation.start()
    simulation.run(1.2, 30)
    simulation.process.counts.reset()  # as a group does for a start
    simulation.start()
    assert "restarts_since_stable" not in simulation.process.snapshot()
    simulation.advance(1.2)
    simulation.end(1)
    assert simulation.process.retry_at == simulation.now + 1


def test_limit_of_restarts_ends_in_fatal_with_its_reason(simulate: Simulate) -> None:
    simulation = simulate(restart_policy=RestartPolicy(limit=3))
    simulation.start()
    simulation.run(1.2, 600)
    assert len(simulation.starts) == 4
    assert simulation.states[-3:] == ["running", "exited", "fatal"]
    last_run = simulation.process.last_run
    assert last_run["exit_code"] == 1
    assert last_run["error"] == "it has reached its restart_limit of 3 without a run of stable_seconds (60)"


def test_limit_counts_failed_starts_and_restarts_for_a_reason_too(simulate: Simulate) -> None:
    simulation = simulate(restart_policy=RestartPolicy(start_retries=None, limit=2))
    simulation.start()
    simulation.end(1)
    simulation.advance(5)
    simulation.process.restart_because("unhealthy")
    simulation.end(signum=15)
    simulation.advance(5)
    simulation.process.restart_because("unhealthy")
    simulation.end(signum=15)
    assert simulation.state == "fatal"
    assert not simulation.process.wanted


def test_limit_is_not_counted_by_planned_restarts(simulate: Simulate) -> None:
    simulation = simulate(restart_policy=RestartPolicy(limit=1), max_runtime_seconds=5)
    simulation.start()
    for _ in range(5):
        simulation.advance(5)
        assert simulation.state == "stopping"
        simulation.end()
    assert simulation.starts == [0, 5, 10, 15, 20, 25]
    assert {by for _, _, by in simulation.told[2:]} == {"max_runtime"}


@pytest.mark.parametrize(("retries", "starts"), [(0, 1), (1, 2), (5, 6)])
def test_failing_start_is_tried_as_often_as_configured(simulate: Simulate, retries: int, starts: int) -> None:
    simulation = simulate(restart_policy=RestartPolicy(start_retries=retries))
    simulation.start()
    simulation.run(0.2, 300)
    assert (len(simulation.starts), simulation.state) == (starts, "fatal")


def test_failing_start_without_a_number_of_retries_is_tried_for_ever(simulate: Simulate) -> None:
    simulation = simulate(restart_policy=RestartPolicy(start_retries=None))
    simulation.start()
    simulation.run(0.2, 3600)
    assert len(simulation.starts) > 60
    assert simulation.state == "backoff"


def test_run_shorter_than_start_seconds_is_a_failed_start(simulate: Simulate) -> None:
    simulation = simulate(startsecs=30, restart_policy=RestartPolicy(start_retries=1, stable_seconds=5))
    simulation.start()
    simulation.run(20, 300)
    assert simulation.states == [*["starting", "backoff"] * 2, "fatal"]


def test_end_that_is_seen_before_the_loop_has_looked_is_that_of_a_running_program(
    simulate: Simulate,
) -> None:
    simulation = simulate(startsecs=0, restart_policy=RestartPolicy(start_retries=0))
    simulation.process.spawn()
    simulation.end(1)
    assert simulation.states == ["starting", "running", "exited", "backoff"]


@pytest.mark.parametrize("lives", [0.2, 5.0])
def test_exit_code_that_is_listed_is_a_good_end(simulate: Simulate, lives: float) -> None:
    simulation = simulate(exitcodes=[0, 143])
    for code, state in ((143, "exited"), (0, "exited"), (1, "backoff")):
        simulation.start()
        simulation.advance(lives)
        simulation.end(code)
        assert simulation.state == state


def test_signal_is_no_exit_code(simulate: Simulate) -> None:
    simulation = simulate(exitcodes=[0, 143])
    simulation.start()
    simulation.advance(5)
    simulation.end(signum=15)
    assert simulation.state == "backoff"


def test_minute_of_a_crash_loop_is_a_handful_of_events(simulate: Simulate) -> None:
    """Starting, running, exited and backoff, each time; without pauses it were 154 events."""
    simulation = simulate()
    simulation.start()
    simulation.run(1.1, 60)
    assert len(simulation.told) <= 24


# In a stack


def test_crash_loop_slows_down_and_shows_backoff_meanwhile(api: Api) -> None:
    id = api.add(CRASHES)
    begun = time.monotonic()
    api.ok(f"programs/{id}/start")
    told = until_pauses(api, id, 3)
    assert time.monotonic() - begun > 10
    once = [("starting", "running"), ("running", "exited"), ("exited", "backoff"), ("backoff", "starting")]
    assert changes(told) == [("stopped", "starting"), *once * 3][: len(told)]
    check(pauses(told), [1, 2, 4])
    shown = api.until(id, "backoff")
    assert shown["last_run"]["exit_code"] == 1
    assert set(shown["status"]) == {"id", "status"}
    time.sleep(1)
    assert api.word(id) == "backoff"  # for eight seconds by now


def test_finished_runs_that_are_repeated_have_pauses_too(api: Api) -> None:
    id = api.add("true", autorestart="true")
    api.ok(f"programs/{id}/start")
    check(pauses(until_pauses(api, id, 2))[:2], [1, 2])


def test_killed_program_comes_back_after_a_second(api: Api) -> None:
    id = api.add(shell("sleep 1.1; kill -KILL $$"))
    api.ok(f"programs/{id}/start")
    check(pauses(until_pauses(api, id, 2))[:2], [1, 2])


def test_failing_start_is_tried_three_times_more_with_growing_pauses(api: Api) -> None:
    id = api.add(shell("exit 3"))
    api.ok(f"programs/{id}/start")
    api.until(id, "fatal", timeout=30)
    told = eventually(lambda: (found := events(api, id))[-1]["state"] == "fatal" and found)
    assert [event["state"] for event in told] == [*["starting", "backoff"] * 4, "fatal"]
    check(pauses(told), [1, 2, 4])


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_start_by_hand_ends_the_pause_and_sets_it_back(api: Api, verb: str) -> None:
    id = api.add(CRASHES)
    api.ok(f"programs/{id}/start")
    until_pauses(api, id, 2)
    api.until(id, "backoff")  # for four seconds
    before = len(eventually(lambda: (found := events(api, id))[-1]["state"] == "backoff" and found))
    begun = time.monotonic()
    api.ok(f"programs/{id}/{verb}", {"wait": True})
    assert time.monotonic() - begun < 2
    told = eventually(lambda: len(pauses(found := events(api, id)[before:])) >= 1 and found)
    assert "running" in [event["state"] for event in told]
    check(pauses(told)[:1], [1])


def test_start_by_hand_gives_a_failing_start_its_retries_again(api: Api, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    id = api.add(shell('echo ran >> "$1"; exit 3', str(runs)))
    api.ok(f"programs/{id}/start")
    eventually(lambda: runs.exists() and runs.read_text().count("ran") == 3)
    api.until(id, "backoff")
    api.ok(f"programs/{id}/start")
    api.until(id, "fatal", timeout=30)
    assert runs.read_text().count("ran") == 3 + 4


def test_each_instance_has_pauses_of_its_own(api: Api) -> None:
    id = api.add(shell("sleep 1.1; test {port} = 24300"), port_range=PORTS, autorestart="unexpected")
    api.ok(f"programs/{id}/start", {"all": True})
    told = until_pauses(api, id, 1)
    assert {event["port"] for event in told if event["state"] == "backoff"} == {24_301}


def test_pauses_of_a_temporary_program_are_the_same(quick: Quick) -> None:
    id = quick.run(CRASHES)
    quick.until(id, "running")
    quick.until(id, "backoff")
    quick.until(id, "running")
    quick.until(id, "backoff")
    begun = time.monotonic()
    quick.until(id, "running")
    assert time.monotonic() - begun > 1.5


def test_stable_run_sets_the_pause_of_a_program_back(api: Api, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    script = 'echo ran >> "$1"; if [ $(wc -l < "$1") = 5 ]; then sleep 3.2; else sleep 1.1; fi; exit 1'
    id = api.add(shell(script, str(runs)), stable_seconds=3, restart_delay_max_seconds=4)
    started(api, id)
    check(pauses(until_pauses(api, id, 6, 60))[:6], [1, 2, 4, 4, 1, 2])
