"""Query the state of programs, and wait until it is as requested.

Each query is one call to supervisord, however many programs it covers.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from django.conf import settings

from daemon_programs.exceptions import SupervisorUnavailable, WaitTimedOut
from daemon_programs.models import SupervisedProgram
from daemon_programs.programs import registration
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.gateway import changes, supervisor
from daemon_programs.supervisor.states import ProgramState, States

S = TypeVar("S")

# A waiting request queries the state this often, in case the report of a change was missed.
RECHECK_SECONDS = 2.0
# How long a stop may take after the grace period: only the kernel can delay the end after SIGKILL.
_STOP_MARGIN_SECONDS = 10.0
# A program may take minutes to stop. This many requests may wait for that; the others give up soon, so that
# threads stay free.
_long_stops = threading.BoundedSemaphore(settings.THREADS // 4)
_SHORT_STOP_SECONDS = 5.0


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
    return _look_until(watch, lambda: _query(group), done, timeout=timeout, timeout_message=timeout_message)


def watch_all_until(
    watch: Watch, done: Callable[[dict[str, ProgramState]], bool], *, timeout: float, timeout_message: str
) -> None:
    """Sleep until ``done`` accepts the states of all programs by group; the watch is of every group.

    Raise WaitTimedOut with ``timeout_message`` after ``timeout`` seconds.
    """
    _look_until(watch, _query_all, done, timeout=timeout, timeout_message=timeout_message)


def _look_until(
    watch: Watch, query: Callable[[], S], done: Callable[[S], bool], *, timeout: float, timeout_message: str
) -> S:
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


def _query(group: str) -> ProgramState | None:
    with _after_a_change():
        return supervisor.state(group)


def _query_all() -> dict[str, ProgramState]:
    with _after_a_change():
        return states()


@contextmanager
def _after_a_change() -> Iterator[None]:
    try:
        yield
    except SupervisorUnavailable as problem:
        raise SupervisorUnavailable("supervisord was lost after it had taken the change") from problem


def _wait_for_stop(
    program: SupervisedProgram, done: Callable[[ProgramState | None], bool], timeout_message: str
) -> None:
    """Sleep until ``done`` accepts the state of a program that is being stopped.

    Raise WaitTimedOut after the grace period and a margin, or soon if many requests wait for a stop already.
    """
    may_take_long = _long_stops.acquire(blocking=False)
    timeout = program.stop_grace_seconds + _STOP_MARGIN_SECONDS if may_take_long else _SHORT_STOP_SECONDS
    try:
        with changes.watch(program.group, brief=True) as watch:
            watch_until(watch, program.group, done, timeout=timeout, timeout_message=timeout_message)
    finally:
        if may_take_long:
            _long_stops.release()


def wait_until_ended(program: SupervisedProgram, names: list[str] | None, *, timeout_message: str) -> None:
    """Wait until the trees of some processes have ended; of all the program's processes if ``names`` is None.

    A process whose next start was requested meanwhile has ended as well.
    """

    def ended(state: ProgramState | None) -> bool:
        processes = state["processes"] if state else {}
        chosen = processes if names is None else processes.keys() & set(names)
        return not any(
            processes[name]["state"] == "stopping" or processes[name].get("ending") for name in chosen
        )

    _wait_for_stop(program, ended, timeout_message)


def wait_until_gone(program: SupervisedProgram, *, timeout_message: str) -> None:
    """Wait until supervisord has stopped and forgotten a program, or has registered it again."""
    if registration.is_offline():
        return
    _wait_for_stop(program, lambda state: state is None or not state["changing"], timeout_message)


def wait_until_settled(program: SupervisedProgram, *, timeout_message: str) -> None:
    """Wait until a change is applied, and until the starts that follow from it have begun."""

    def settled(state: ProgramState | None) -> bool:
        return state is None or not (
            state["changing"] or any(each.get("queued") for each in state["processes"].values())
        )

    _wait_for_stop(program, settled, timeout_message)
