"""Read what runs, and wait until it is as asked. Every answer comes from one call to supervisord."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

from daemon_programs.exceptions import SupervisorUnavailable, WaitTimedOut
from daemon_programs.models import SupervisedProgram
from daemon_programs.programs import registration
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.gateway import changes, supervisor
from daemon_programs.supervisor.states import ProgramState

# While waiting, supervisord is asked this often even if nothing was heard of.
LOOK_EVERY_SECONDS = 2.0
# Beyond its grace period: after SIGKILL only the kernel can hold up an end.
_END_SECONDS = 10.0
# A program may take minutes to stop: at most this many requests wait that long, the others give up soon.
_room_to_see_a_stop = threading.BoundedSemaphore(settings.THREADS // 4)
_MOMENT_SECONDS = 5.0


def states() -> dict[str, ProgramState]:
    """The states of all programs by group, however many, in one call."""
    return supervisor.states()["programs"]


def state_of(program: SupervisedProgram) -> ProgramState | None:
    """The state of one program; None when supervisord does not have it (it is disabled)."""
    return supervisor.state(program.group)


@contextmanager
def room_to_wait(group: str, wait: bool) -> Iterator[Watch | None]:
    """Taken before anything is started: whoever finds no room to wait (TooManyWaits) has started nothing."""
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
    otherwise: str,
    look_every: float = LOOK_EVERY_SECONDS,
) -> ProgramState | None:
    """Sleep until a program's state is as wanted, and return it; WaitTimedOut ``otherwise``."""
    begun = time.monotonic()
    deadline = begun + timeout
    while not done(state := _look(group)):
        looked = time.monotonic()
        if looked >= deadline:
            raise WaitTimedOut(otherwise)
        watch.wait(min(deadline - looked, look_every))
        # Each of a thousand instances tells of its changes, and a look at all of them takes its time: at
        # least as long as the last one took there is no next one.
        time.sleep(max(0, looked + (looked - begun) - time.monotonic()))
        begun = time.monotonic()
    return state


def _look(group: str) -> ProgramState | None:
    try:
        return supervisor.state(group)
    except SupervisorUnavailable as problem:
        raise SupervisorUnavailable("supervisord was lost after it had taken the change") from problem


def _wait_for_stop(
    program: SupervisedProgram, done: Callable[[ProgramState | None], bool], otherwise: str
) -> None:
    """Sleep until a program is stopped as it should be; at most its grace period and some more."""
    has_room = _room_to_see_a_stop.acquire(blocking=False)
    timeout = program.stop_grace_seconds + _END_SECONDS if has_room else _MOMENT_SECONDS
    try:
        with changes.watch(program.group, brief=True) as watch:
            watch_until(watch, program.group, done, timeout=timeout, otherwise=otherwise)
    finally:
        if has_room:
            _room_to_see_a_stop.release()


def wait_until_ended(program: SupervisedProgram, names: list[str] | None, *, otherwise: str) -> None:
    """Wait until processes (all of the program's, if not named) and their whole trees have ended.

    Not until they are at rest: somebody may have asked for the next start already.
    """

    def ended(state: ProgramState | None) -> bool:
        processes = state["processes"] if state else {}
        chosen = processes if names is None else processes.keys() & set(names)
        return not any(
            processes[name]["state"] == "stopping" or processes[name].get("ending") for name in chosen
        )

    _wait_for_stop(program, ended, otherwise)


def wait_until_gone(program: SupervisedProgram, *, otherwise: str) -> None:
    """Wait until supervisord has stopped and forgotten a program (or has it anew)."""
    if registration.is_offline():
        return
    _wait_for_stop(program, lambda state: state is None or not state["changing"], otherwise)


def wait_until_settled(program: SupervisedProgram, *, otherwise: str) -> None:
    """Wait until a program's change is carried out and what is to run has been started."""

    def settled(state: ProgramState | None) -> bool:
        return state is None or not (
            state["changing"] or any(each.get("queued") for each in state["processes"].values())
        )

    _wait_for_stop(program, settled, otherwise)
