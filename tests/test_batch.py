"""Verbs over many programs: a few at a time, each with its result, on behalf of the one who asked."""

import threading
import time
from typing import Any

import pytest

from daemon_programs import actors
from daemon_programs.admin.program import summary
from daemon_programs.exceptions import Refused, SupervisorUnavailable
from daemon_programs.models import Program
from daemon_programs.programs import batch, waiting
from daemon_programs.programs.batch import Outcome, Result, Skipped, Verb

PROGRAMS = [Program(pk=number, name=f"p{number}") for number in range(1, 41)]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a verb of its steps."""
    monkeypatch.setattr(waiting, "states", dict)

    def make(*steps: Any) -> str:
        monkeypatch.setitem(batch.VERBS, "try", Verb(*steps))
        return "try"

    return make


def test_a_few_at_a_time_on_behalf_of_the_caller(verb: Any) -> None:
    lock, now, most, by = threading.Lock(), 0, 0, set()

    def step(program: Program, state: object) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            by.add(actors.current())
        time.sleep(0.01)
        with lock:
            now -= 1

    with actors.acting(lambda: "admin:boss"):
        results = batch.run(verb(step), PROGRAMS)
    assert [result.program for result in results] == PROGRAMS
    assert {result.outcome for result in results} == {Outcome.DONE}
    assert 1 < most <= batch.AT_A_TIME
    assert by == {"admin:boss"}


def test_each_program_has_its_own_result(verb: Any) -> None:
    def step(program: Program, state: object) -> None:
        if program.pk == 1:
            raise Skipped("disabled")
        if program.pk == 2:
            raise Refused("Program with ID 2 can't be started: no")

    results = batch.run(verb(step), PROGRAMS[:3])
    assert [(each.outcome, each.reason) for each in results] == [
        (Outcome.SKIPPED, "disabled"),
        (Outcome.FAILED, "Program with ID 2 can't be started: no"),
        (Outcome.DONE, ""),
    ]


def test_second_step_begins_once_all_have_taken_the_first(verb: Any) -> None:
    taken: list[str] = []

    def begin(program: Program, state: object) -> None:
        if program.pk == 1:
            raise Skipped("not running")
        taken.append("begin")

    results = batch.run(verb(begin, lambda program, state: taken.append("finish")), PROGRAMS)
    assert taken == ["begin"] * 39 + ["finish"] * 39
    assert results[0] == Result(PROGRAMS[0], Outcome.SKIPPED, "not running")


def test_bug_in_a_verb_is_raised(verb: Any) -> None:
    def step(program: Program, state: object) -> None:
        raise KeyError(program.pk)

    with pytest.raises(KeyError):
        batch.run(verb(step), PROGRAMS)


def test_without_supervisord_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def states() -> None:
        raise SupervisorUnavailable

    monkeypatch.setattr(waiting, "states", states)
    results = batch.run("delete", PROGRAMS)
    assert {each.outcome for each in results} == {Outcome.FAILED}
    assert results[0].reason == "supervisord can't be reached; nothing was changed"


# The summary of the results


def test_summary_counts_by_what_has_become_of_them() -> None:
    results = [
        *(Result(program, Outcome.SKIPPED, "disabled") for program in PROGRAMS[:25]),
        *(Result(program, Outcome.DONE) for program in PROGRAMS[25:30]),
        *(Result(program, Outcome.SKIPPED, "ran already") for program in PROGRAMS[30:32]),
        *(Result(each, Outcome.FAILED, f"Program with ID {each.pk} was broken") for each in PROGRAMS[32:]),
    ]
    groups = summary.groups_of(results, "started")
    assert summary.sentence_of(groups) == (
        "5 started, 25 skipped: disabled, 2 ran already, 8 failed: was broken"
    )
    skipped = groups[1]
    assert (len(skipped.names), skipped.more) == (20, 5)


def test_summary_leaves_different_reasons_to_the_details() -> None:
    results = [Result(PROGRAMS[0], Outcome.FAILED, "one"), Result(PROGRAMS[1], Outcome.FAILED, "another")]
    assert summary.sentence_of(summary.groups_of(results, "started")) == "2 failed"
