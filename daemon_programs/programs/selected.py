"""Start, stop or restart chosen instances of a program: all of them at once, then one wait.

The API's verbs are about one instance or all of them; people choose some in the admin.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from daemon_programs.exceptions import DidNotStart, Refused, WaitTimedOut
from daemon_programs.models import Program
from daemon_programs.programs import services, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.targets import check_key, label
from daemon_programs.supervisor.client import ALL
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.instances import Key
from daemon_programs.supervisor.states import ProcessState, ProgramState, Refusal


@dataclass(frozen=True)
class Result:
    """What has become of the chosen instances."""

    done: Sequence[Key]
    skipped: Sequence[Key] = ()  # they were so already
    unsuccessful: Sequence[Key] = ()
    state: ProgramState | None = None  # of the program, after the wait


def start(program: Program, keys: Sequence[Key], timeout: float) -> Result:
    """Start those that don't run, and wait until each runs or has failed, at most ``timeout`` seconds."""
    return _begin(program, keys, supervisor.start, timeout, only_idle=True)


def restart(program: Program, keys: Sequence[Key], timeout: float) -> Result:
    """Restart instances, and start those that don't run; wait as `start` does."""
    return _begin(program, keys, supervisor.restart, timeout, only_idle=False)


def stop(program: Program, keys: Sequence[Key]) -> Result:
    """Stop those that run, and wait for their end; raise WaitTimedOut as `services.stop_program` does."""
    _check(program, keys)
    state = waiting.state_of(program)
    alive, idle = _split(keys, lambda key: is_alive(statuses.process_state(state, key.process)))
    if alive:
        services.stop_processes(program, _names(program, alive))
    return Result(alive, idle)


def is_alive(process: ProcessState) -> bool:
    """Return whether a stop has something to do: the process runs, is to run, or is still ending."""
    at_rest = ("stopped", "exited", "fatal", "unknown")
    return statuses.status_of(process) not in at_rest or bool(process.get("ending"))


def _begin(
    program: Program,
    keys: Sequence[Key],
    call: Callable[[str, str], ProgramState | Refusal],
    timeout: float,
    *,
    only_idle: bool,
) -> Result:
    _check(program, keys)
    services.check_enabled(program)
    state: ProgramState | None = services.ensure_registered(program)
    skipped, wanted = _split(keys, lambda key: only_idle and _is_active(state, key))
    with waiting.reserve_watch(program.group, bool(wanted)) as watch:
        if watch is None:
            return Result([], skipped)
        # For `restart`, all of them would be those that run.
        names = _names(program, wanted) if only_idle else [key.process for key in wanted]
        for name in names:
            with services.refuse_if_withdrawn(program, None):
                answer = call(program.group, name)
            if "refused" in answer:
                raise Refused(f"{label(program, None)} can't be started: {answer['refused']}")
        with suppress(WaitTimedOut):
            waiting.watch_until(
                watch,
                program.group,
                lambda state: all(_is_settled(program, state, key) for key in wanted),
                timeout=timeout,
                timeout_message="",
            )
        state = waiting.state_of(program)
    done, unsuccessful = _split(wanted, lambda key: _has_started(program, state, key))
    return Result(done, skipped, unsuccessful, state)


def _check(program: Program, keys: Sequence[Key]) -> None:
    for key in keys:
        check_key(program, key)


def _names(program: Program, keys: Sequence[Key]) -> list[str]:
    """Return what to name in calls: each process, or all of them at once."""
    return [ALL] if program.keys and len(keys) == len(program.keys) else [key.process for key in keys]


def _split(keys: Sequence[Key], holds: Callable[[Key], bool]) -> tuple[list[Key], list[Key]]:
    """Return the keys for which something holds, and the others."""
    chosen = [key for key in keys if holds(key)]
    found = set(chosen)
    return chosen, [key for key in keys if key not in found]


def _is_active(state: ProgramState | None, key: Key) -> bool:
    return statuses.status_of(statuses.process_state(state, key.process)) in statuses.ACTIVE


def _is_settled(program: Program, state: ProgramState | None, key: Key) -> bool:
    try:
        return _has_started_or_fails(program, state, key)
    except DidNotStart:
        return True


def _has_started(program: Program, state: ProgramState | None, key: Key) -> bool:
    with suppress(DidNotStart):
        return _has_started_or_fails(program, state, key)
    return False


def _has_started_or_fails(program: Program, state: ProgramState | None, key: Key) -> bool:
    return services.has_started(program, key, statuses.process_state(state, key.process))
