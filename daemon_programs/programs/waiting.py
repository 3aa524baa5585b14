"""Query the state of programs, and wait until it is as requested.

Each query is one call to supervisord, however many programs it covers.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple, TypeVar

from django.conf import settings

from daemon_programs.exceptions import DaemonError, ShuttingDown, SupervisorUnavailable, WaitTimedOut
from daemon_programs.models import SupervisedProgram
from daemon_programs.programs import registration
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.gateway import changes, supervisor
from daemon_programs.supervisor.states import ProgramState, States

T = TypeVar("T")

# A waiting request queries the state this often, in case the report of a change was missed.
RECHECK_SECONDS = 2.0
# How long a stop may take after the grace period: only the kernel can delay the end after SIGKILL.
_STOP_MARGIN_SECONDS = 10.0
# A program may take minutes to stop. This many requests may wait for that; the others give up soon, so that
# threads stay free.
_long_stops = threading.BoundedSemaphore(settings.THREADS // 4)
_SHORT_STOP_SECONDS = 5.0


class Awaited(NamedTuple):
    """What a request waits for, and for how long."""

    group: str
    done: Callable[[ProgramState | None], bool]  # raises a DaemonError if it can't happen any more
    seconds: float
    sentence: str  # of the WaitTimedOut


def report() -> States:
    """Return the states of everything that supervisord runs, in one call."""
    return supervisor.states()


def states() -> dict[str, ProgramState]:
    """Return the states of all programs by group, in one call."""
    return report()["programs"]


def state_of(program: SupervisedProgram) -> ProgramState | None:
    """Return the state of one program; None if supervisord does not have it, as when it is disabled."""
    return supervisor.state(program.group)


@contextmanager
def reserve_watch(group: str, wait: bool) -> Iterator[Watch | None]:
    """Watch a group in this block if the request is to wait; raise TooManyWaits if too many already do.

    Enter it before anything is started, so that a request that can't wait has no effect.
    """
    if not wait:
        yield None
        return
    with changes.watch(group) as watch:
        yield watch


def watch_until(
    watch: Watch,
    group: str,
    done: Callable[[ProgramState | None], bool],
    *,
    timeout: float,
    timeout_message: str,
) -> ProgramState | None:
    """Sleep until ``done`` accepts a program's state, and return that state.

    Raise WaitTimedOut with ``timeout_message`` after ``timeout`` seconds.
    """
    return _sleep_until(watch, lambda: _query(group), done, timeout, timeout_message)


def watch_every_until(watch: Watch, done: Callable[[dict[str, ProgramState]], bool], timeout: float) -> None:
    """Sleep until ``done`` accepts the states of all programs by group; the watch is of every group.

    Raise WaitTimedOut, without a sentence, after ``timeout`` seconds, and ShuttingDown if the stack is being
    stopped: what the states say then is not due to what was changed.
    """

    def query() -> dict[str, ProgramState]:
        reported = _after_change(report)
        if reported["is_ending"]:
            raise ShuttingDown("The stack is being stopped; the programs are changed, and may not be ready")
        return reported["programs"]

    _sleep_until(watch, query, done, timeout, "")


def _sleep_until(
    watch: Watch, query: Callable[[], T], done: Callable[[T], bool], timeout: float, timeout_message: str
) -> T:
    began = time.monotonic()
    deadline = began + timeout
    while not done(state := query()):
        ended = time.monotonic()
        if ended >= deadline:
            raise WaitTimedOut(timeout_message)
        watch.wait(min(deadline - ended, RECHECK_SECONDS))
        # A thousand instances report many changes, and to query them all takes a while. Therefore the pause
        # between two queries is at least as long as the first of them took.
        time.sleep(max(0, ended + (ended - began) - time.monotonic()))
        began = time.monotonic()
    return state


def watch_until_all(watch: Watch, awaited: Sequence[Awaited], *, are_stops: bool) -> list[DaemonError | None]:
    """Sleep until all has happened, or can't happen any more; return the error of each, in their order.

    One request waits for many programs like this: it holds one thread, and each look is one call to
    supervisord. Stops are waited for only briefly if many requests wait for one already.
    """
    errors: list[DaemonError | None] = [None] * len(awaited)
    with _long_stop() if are_stops else nullcontext(True) as may_take_long:
        longest = math.inf if may_take_long else _SHORT_STOP_SECONDS
        pending = {n: each._replace(seconds=min(each.seconds, longest)) for n, each in enumerate(awaited)}
        began = time.monotonic()
        try:
            while pending:
                asked = time.monotonic()
                found = _after_change(states)
                answered = time.monotonic()
                for number, each in list(pending.items()):
                    is_late = answered - began >= each.seconds
                    is_over, errors[number] = _look(each, found.get(each.group), is_late=is_late)
                    if is_over:
                        del pending[number]
                if pending:
                    deadline = began + min(each.seconds for each in pending.values())
                    watch.wait(min(deadline - answered, RECHECK_SECONDS))
                    time.sleep(max(0, answered + (answered - asked) - time.monotonic()))  # see `watch_until`
        except SupervisorUnavailable as problem:  # it was lost, or the daemon is shutting down
            for number in pending:
                errors[number] = problem
    return errors


def _look(awaited: Awaited, state: ProgramState | None, *, is_late: bool) -> tuple[bool, DaemonError | None]:
    """Return whether something is over, with an error unless it has happened."""
    try:
        if awaited.done(state):
            return True, None
    except DaemonError as problem:
        return True, problem
    return is_late, WaitTimedOut(awaited.sentence) if is_late else None


def _query(group: str) -> ProgramState | None:
    return _after_change(lambda: supervisor.state(group))


def _after_change(ask: Callable[[], T]) -> T:
    """Return an answer of supervisord, which has taken a change; say so if it can't be reached any more."""
    try:
        return ask()
    except SupervisorUnavailable as problem:
        raise SupervisorUnavailable("supervisord was lost after it had taken the change") from problem


@contextmanager
def _long_stop() -> Iterator[bool]:
    """Yield whether a request may wait for a stop for long: a quarter of the threads may."""
    may_take_long = _long_stops.acquire(blocking=False)
    try:
        yield may_take_long
    finally:
        if may_take_long:
            _long_stops.release()


def _wait_for_stop(awaited: Awaited) -> None:
    """Sleep until a stop is over, or raise WaitTimedOut: soon if many requests wait for a stop already."""
    with _long_stop() as may_take_long, changes.watch(awaited.group, brief=True) as watch:
        watch_until(
            watch,
            awaited.group,
            awaited.done,
            timeout=awaited.seconds if may_take_long else _SHORT_STOP_SECONDS,
            timeout_message=awaited.sentence,
        )


def _stop_of(
    program: SupervisedProgram, done: Callable[[ProgramState | None], bool], sentence: str
) -> Awaited:
    """Return what to wait for while a program is being stopped: its grace period and a margin."""
    return Awaited(program.group, done, program.stop_grace_seconds + _STOP_MARGIN_SECONDS, sentence)


def end_of(program: SupervisedProgram, names: list[str] | None, *, timeout_message: str) -> Awaited:
    """Return the end of the trees of some processes; of all the program's processes if ``names`` is None.

    A process whose next start was requested meanwhile has ended as well.
    """

    def ended(state: ProgramState | None) -> bool:
        processes = state["processes"] if state else {}
        chosen = processes if names is None else processes.keys() & set(names)
        return not any(
            processes[name]["state"] == "stopping" or processes[name].get("ending") for name in chosen
        )

    return _stop_of(program, ended, timeout_message)


def departure_of(program: SupervisedProgram, *, timeout_message: str) -> Awaited:
    """Return that supervisord has stopped and forgotten a program, or has registered it again."""
    return _stop_of(program, lambda state: state is None or not state["changing"], timeout_message)


def wait_until_ended(program: SupervisedProgram, names: list[str] | None, *, timeout_message: str) -> None:
    """Wait until the trees of processes have ended: see `end_of`."""
    _wait_for_stop(end_of(program, names, timeout_message=timeout_message))


def wait_until_gone(program: SupervisedProgram, *, timeout_message: str) -> None:
    """Wait until supervisord does not have a program any more: see `departure_of`."""
    if registration.is_offline():
        return
    _wait_for_stop(departure_of(program, timeout_message=timeout_message))


def wait_until_settled(program: SupervisedProgram, *, timeout_message: str) -> None:
    """Wait until a change is applied, and until the starts that follow from it have begun."""

    def settled(state: ProgramState | None) -> bool:
        return state is None or not (
            state["changing"] or any(each.get("queued") for each in state["processes"].values())
        )

    _wait_for_stop(_stop_of(program, settled, timeout_message))
