"""Pauses between automatic restarts: they double, and are set back by a stable run or a start by hand."""

import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from daemon_programs.supervisor.plugin.programs.backoff import STABLE_SECONDS, Backoff
from tests.events import Event, changes, events
from tests.processes import shell, started
from tests.stack import Api, Stack, eventually
from tests.temporary_programs import Quick

CRASHES = shell("sleep 1.1; exit 1")
PORTS = {"start": 24_300, "end": 24_301}

# Loaded by each Python of a stack: there, a run of three seconds is stable, and no pause is longer than four.
HURRIED = """
import importlib.util, sys

class Hurried:
    def find_spec(self, name, path, target=None):
        if name != "daemon_programs.supervisor.plugin.programs.backoff":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        run = spec.loader.exec_module
        def exec_module(module):
            run(module)
            module.STABLE_SECONDS, module.LONGEST_PAUSE_SECONDS = 3.0, 4.0
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Hurried())
"""


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
    policy = Backoff()
    assert [policy.next_pause(1.1) for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("ran_for", [0.0, 1.1, STABLE_SECONDS - 1])
def test_length_of_a_run_that_is_not_stable_is_no_matter(ran_for: float) -> None:
    policy = Backoff()
    assert [policy.next_pause(ran_for) for _ in range(4)] == [1, 2, 4, 8]


def test_stable_run_sets_the_pause_back() -> None:
    policy = Backoff()
    for _ in range(5):
        policy.next_pause(1.1)
    assert [policy.next_pause(each) for each in (STABLE_SECONDS, 1.1, 1.1)] == [1, 2, 4]


def test_reset_begins_again() -> None:
    policy = Backoff()
    policy.failed_starts = 3
    policy.next_pause(0)
    policy.next_pause(0)
    policy.reset()
    assert (policy.next_pause(0), policy.failed_starts) == (1, 0)


def test_minute_of_a_crash_loop_is_a_handful_of_events() -> None:
    """Starting, running, exited and backoff, each time; without pauses it were 154 events."""
    policy, clock, restarts = Backoff(), 0.0, 0
    while (clock := clock + 1.1 + policy.next_pause(1.1)) < 60:
        restarts += 1
    assert restarts * 4 <= 20


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
    begun = time.monotonic()
    api.ok(f"programs/{id}/{verb}", {"wait": True})
    assert time.monotonic() - begun < 2
    assert api.word(id) == "running"
    before = len(events(api, id))
    told = eventually(lambda: len(pauses(found := events(api, id)[before:])) >= 1 and found)
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


def test_stable_run_sets_the_pause_of_a_program_back(own_stack: Stack, tmp_path: Path) -> None:
    """What is stable is three seconds here, and the longest pause is four."""
    (tmp_path / "sitecustomize.py").write_text(HURRIED)
    own_stack.environment["PYTHONPATH"] = str(tmp_path)
    api = own_stack.start().api
    runs = tmp_path / "runs"
    script = 'echo ran >> "$1"; if [ $(wc -l < "$1") = 5 ]; then sleep 3.2; else sleep 1.1; fi; exit 1'
    id = api.add(shell(script, str(runs)))
    started(api, id)
    check(pauses(until_pauses(api, id, 6, 60))[:6], [1, 2, 4, 4, 1, 2])
