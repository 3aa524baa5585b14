"""Verbs over many programs: a few at a time, each with its result, on behalf of the one who asked."""

import threading
import time
from typing import Any

import pytest

from daemon_programs import actors
from daemon_programs.admin.program import summary
from daemon_programs.exceptions import DidNotStart, Refused, SupervisorUnavailable, TooManyWaits
from daemon_programs.models import Program
from daemon_programs.programs import batch, waiting
from daemon_programs.programs.batch import Outcome, Result
from daemon_programs.programs.verbs import Options, Skipped, Verb
from daemon_programs.programs.waiting import Awaited
from daemon_programs.supervisor.gateway import changes
from daemon_programs.supervisor.states import ProgramState
from tests.stack import OWN_USER

PROGRAMS = [Program(pk=number, name=f"p{number}") for number in range(1, 41)]
RUNNING: ProgramState = {"changing": False, "digest": "", "processes": {}}
WAITING = Options(wait=True)


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that makes a verb of what is begun, with a check that finds nothing against it."""
    monkeypatch.setattr(waiting, "states", dict)
    monkeypatch.setattr(changes, "_ensure_thread", lambda: None)

    def make(begin: Any, check: Any = lambda program, state, options: None) -> str:
        waits = lambda program, options: options.wait  # noqa: E731
        monkeypatch.setitem(batch.VERBS, "try", Verb(check, begin, waits))
        return "try"

    return make


def nothing(program: Program, options: Options) -> None:
    """Begin something that is done at once."""


def test_a_few_at_a_time_on_behalf_of_the_caller(verb: Any) -> None:
    lock, now, most, by = threading.Lock(), 0, 0, set()

    def begin(program: Program, options: Options) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            by.add(actors.current())
        time.sleep(0.01)
        with lock:
            now -= 1

    with actors.acting(lambda: "admin:boss"):
        results = batch.run(verb(begin), PROGRAMS)
    assert [result.program for result in results] == PROGRAMS
    assert {result.outcome for result in results} == {Outcome.DONE}
    assert 1 < most <= batch.AT_A_TIME
    assert by == {"admin:boss"}


def test_without_helpers_the_thread_of_the_request_does_it_all(
    verb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_helpers", threading.BoundedSemaphore(2))
    own, used = threading.get_ident(), set()

    def begin(program: Program, options: Options) -> None:
        used.add(threading.get_ident())
        time.sleep(0.01)

    batch.run(verb(begin), PROGRAMS)
    assert own in used
    assert len(used) == 3
    used.clear()
    assert all(batch._helpers.acquire(blocking=False) for _ in range(2)), "they were not given back"
    batch.run(verb(begin), PROGRAMS[:5])
    assert used == {own}


def test_each_program_has_its_own_result(verb: Any) -> None:
    def check(program: Program, state: object, options: Options) -> None:
        if program.pk == 1:
            raise Skipped("disabled", "Program with ID 1 is disabled")

    def begin(program: Program, options: Options) -> None:
        if program.pk == 2:
            raise Refused("Program with ID 2 can't be started: no")
        if program.pk == 3:
            raise OSError("disk full")

    results = batch.run(verb(begin, check), PROGRAMS[:4])
    assert [(each.outcome, each.code, each.reason) for each in results] == [
        (Outcome.SKIPPED, "disabled", "Program with ID 1 is disabled"),
        (Outcome.FAILED, "refused", "Program with ID 2 can't be started: no"),
        (
            Outcome.FAILED,
            "state_unavailable",
            "The state of the daemon can't be written or read at the moment",
        ),
        (Outcome.DONE, "", ""),
    ]


def test_all_are_waited_for_together_once_all_have_begun(verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    begun: list[int] = []

    def states() -> dict[str, ProgramState]:
        nonlocal looks
        looks += 1
        assert len(begun) == 40 or looks == 1
        return {program.group: RUNNING for program in PROGRAMS[: looks * 20 - 20]}

    def begin(program: Program, options: Options) -> Awaited:
        begun.append(program.pk)
        return Awaited(program.group, lambda state: state is not None, 0.3, f"{program.pk} is late")

    monkeypatch.setattr(waiting, "states", states)
    monkeypatch.setattr(waiting, "RECHECK_SECONDS", 0.01)
    results = batch.run(verb(begin), PROGRAMS)
    assert {result.outcome for result in results} == {Outcome.DONE}
    assert looks == 3, "the first is at their states before; 20 more have happened with each other one"


def test_wait_ends_with_the_error_of_each(verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def done(program: Program) -> bool:
        if program.pk == 2:
            raise DidNotStart("Program with ID 2 did not start: exit code 5")
        return program.pk == 1

    def begin(program: Program, options: Options) -> Awaited:
        return Awaited(program.group, lambda state: done(program), 0.1, f"{program.pk} is late")

    monkeypatch.setattr(waiting, "RECHECK_SECONDS", 0.02)
    results = batch.run(verb(begin), PROGRAMS[:3])
    assert [(each.outcome, each.code, each.reason) for each in results] == [
        (Outcome.DONE, "", ""),
        (Outcome.FAILED, "refused", "Program with ID 2 did not start: exit code 5"),
        (Outcome.FAILED, "timeout", "3 is late"),
    ]


def never(program: Program, options: Options) -> Awaited:
    """Begin something that never happens."""
    return Awaited(program.group, lambda state: False, 300, "late")


def test_wait_ends_if_supervisord_is_lost(verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def states() -> dict[str, ProgramState]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise SupervisorUnavailable
        return {}

    monkeypatch.setattr(waiting, "states", states)
    results = batch.run(verb(never), PROGRAMS)
    assert {each.reason for each in results} == {"supervisord was lost after it had taken the change"}
    assert {each.code for each in results} == {"supervisor_unavailable"}


def test_wait_ends_if_the_daemon_shuts_down(verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_closing", False)
    threading.Timer(0.1, changes.close).start()
    results = batch.run(verb(never), PROGRAMS)
    assert {each.reason for each in results} == {
        "The daemon is shutting down; what was asked for is under way"
    }
    results = batch.run(verb(nothing), PROGRAMS)  # which still arrives
    assert {each.code for each in results} == {"shutting_down"}
    assert results[0].reason == "The daemon is shutting down; nothing was changed"


def test_nothing_is_begun_if_too_many_requests_wait(verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(changes, "_most_watches", 1)
    with changes.watch("another"):
        with pytest.raises(TooManyWaits):
            batch.run(verb(lambda program, options: begun.append(program)), PROGRAMS, WAITING)
        assert not begun
        batch.run(verb(nothing), PROGRAMS)  # it doesn't wait
    batch.run(verb(nothing), PROGRAMS, WAITING)  # it counts as one, whatever it waits for
    assert changes._count == 0
    assert not changes._watches


def test_stops_are_waited_for_briefly_if_many_requests_do(verb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_long_stops", threading.BoundedSemaphore(1))
    monkeypatch.setattr(waiting, "_SHORT_STOP_SECONDS", 0.05)
    with waiting._long_stop():
        results = batch.run(verb(never), PROGRAMS)
    assert {each.code for each in results} == {"timeout"}
    assert waiting._long_stops.acquire(blocking=False), "it was not given back"


def test_lost_supervisord_is_not_asked_once_for_each(verb: Any) -> None:
    tried = []

    def begin(program: Program, options: Options) -> None:
        tried.append(program.pk)
        time.sleep(0.01)
        raise SupervisorUnavailable

    results = batch.run(verb(begin), PROGRAMS)
    assert len(tried) <= batch.AT_A_TIME
    assert {each.reason for each in results} == {"supervisord can't be reached; nothing was changed"}


def test_bug_in_a_verb_is_raised(verb: Any) -> None:
    def begin(program: Program, options: Options) -> None:
        raise KeyError(program.pk)

    with pytest.raises(KeyError):
        batch.run(verb(begin), PROGRAMS)


def test_without_supervisord_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def states() -> None:
        raise SupervisorUnavailable

    monkeypatch.setattr(waiting, "states", states)
    results = batch.run("remove", PROGRAMS)
    assert {each.outcome for each in results} == {Outcome.FAILED}
    assert results[0].reason == "supervisord can't be reached; nothing was changed"


# What there is to do


def of(program: Program, **process: Any) -> dict[str, ProgramState]:
    """Return the states of a supervisord in which this is the process of the program."""
    processes: Any = {program.group: process}
    return {program.group: {"changing": False, "digest": "", "processes": processes}}


ON = Program(pk=1, name="on", command="true", user=OWN_USER, reload={"signal": "HUP"})
OFF = Program(pk=1, name="off", enabled=False)
CREW = Program(pk=1, name="crew", numprocs=2, command="true", user=OWN_USER)
RUNS = {"state": "running", "pid": 9, "started_at": 0.0}
STOPPED = {"state": "stopped"}


@pytest.mark.parametrize(
    ("verb_name", "program", "process", "options", "code", "reason"),
    [
        ("start", ON, STOPPED, {}, "", ""),
        ("start", ON, RUNS, {}, "ran_already", "Program with ID 1 ran already"),
        ("start", ON, RUNS, {"wait": True}, "ran_already", "Program with ID 1 ran already"),
        ("start", ON, {**RUNS, "ready": False}, {}, "ran_already", "Program with ID 1 ran already"),
        ("start", ON, {**RUNS, "ready": False}, {"wait": True}, "", ""),
        ("start", CREW, RUNS, {}, "", ""),
        ("start", OFF, STOPPED, {}, "disabled", "Program with ID 1 is disabled"),
        ("stop", ON, RUNS, {}, "", ""),
        ("stop", ON, {"state": "stopped", "ending": True}, {}, "", ""),
        ("stop", ON, {"state": "stopped", "queued": True}, {}, "", ""),
        ("stop", ON, STOPPED, {}, "not_running", "Program with ID 1 is not running"),
        ("restart", ON, STOPPED, {}, "", ""),
        ("restart", OFF, STOPPED, {}, "disabled", "Program with ID 1 is disabled"),
        ("restart", CREW, STOPPED, {}, "not_running", "No instance of program with ID 1 is running"),
        ("signal", ON, RUNS, {"signal": "HUP"}, "", ""),
        ("signal", ON, STOPPED, {"signal": "HUP"}, "not_running", "Program with ID 1 is not running"),
        ("signal", OFF, STOPPED, {"signal": "HUP"}, "disabled", "Program with ID 1 is disabled"),
        ("reload", ON, RUNS, {}, "", ""),
        ("reload", ON, STOPPED, {}, "not_running", "Program with ID 1 is not running"),
        ("reload", CREW, RUNS, {}, "no_reload", "Program with ID 1 has no reload"),
        ("enable", ON, STOPPED, {}, "enabled_already", "Program with ID 1 was enabled already"),
        ("enable", OFF, STOPPED, {}, "", ""),
        ("disable", OFF, STOPPED, {}, "disabled_already", "Program with ID 1 was disabled already"),
        ("disable", ON, RUNS, {}, "", ""),
        ("remove", ON, RUNS, {}, "", ""),
    ],
)
def test_rehearsal_says_what_would_be_done(
    verb_name: str, program: Program, process: Any, options: Any, code: str, reason: str
) -> None:
    (result,) = batch.rehearse(verb_name, [program], Options(**options), of(program, **process))
    assert (result.outcome, result.code, result.reason) == (
        Outcome.SKIPPED if code else Outcome.PLANNED,
        code,
        reason,
    )


def test_rehearsal_knows_what_can_not_be_started() -> None:
    gone = Program(pk=1, name="gone", command="/nowhere/x", user=OWN_USER)
    (result,) = batch.rehearse("start", [gone], Options(), {})
    assert (result.outcome, result.code) == (Outcome.FAILED, "refused")
    assert result.reason == "Program with ID 1 can't be started: command not found: /nowhere/x"


# The summary of the results


def test_summary_counts_by_what_has_become_of_them() -> None:
    results = [
        *(Result(program, Outcome.SKIPPED, "disabled") for program in PROGRAMS[:25]),
        *(Result(program, Outcome.DONE) for program in PROGRAMS[25:30]),
        *(Result(program, Outcome.SKIPPED, "ran_already") for program in PROGRAMS[30:32]),
        *(
            Result(each, Outcome.FAILED, "refused", f"Program with ID {each.pk} was broken")
            for each in PROGRAMS[32:]
        ),
    ]
    groups = summary.groups_of(results, "started")
    assert summary.sentence_of(groups) == (
        "5 started, 25 skipped: disabled, 2 ran already, 8 failed: was broken"
    )
    skipped = groups[1]
    assert (len(skipped.names), skipped.more) == (20, 5)


def test_summary_leaves_different_reasons_to_the_details() -> None:
    results = [Result(PROGRAMS[0], Outcome.FAILED, "refused", reason) for reason in ("one", "another")]
    assert summary.sentence_of(summary.groups_of(results, "started")) == "2 failed"
