"""The verbs that fit the state of a program or an instance, as buttons."""

from typing import NamedTuple

from daemon_programs.models import Program
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import ProcessState, ProgramState

_WANTED = ("running", "starting", "backoff")  # what a stop would end


class Button(NamedTuple):
    """A button on the page of a program."""

    name: str  # of the operation
    label: str
    title: str  # what it does


def for_program(
    program: Program, state: ProgramState | None, *, may_operate: bool, may_change: bool
) -> list[Button]:
    """Return the buttons of a program, which mean all its instances."""
    if not program.enabled:
        return [_enable(program)] if may_change else []
    buttons = []
    if may_operate:
        keys = program.keys
        names = [program.group] if keys is None else [key.process for key in keys]
        processes = [statuses.process_state(state, name) for name in names]
        buttons = _fitting(program, processes, "" if keys is None else " all")
    return [*buttons, _disable(program)] if may_change else buttons


def for_instance(program: Program, process: ProcessState) -> list[Button]:
    """Return the buttons of one instance."""
    return _fitting(program, [process], "")


def is_wanted(process: ProcessState) -> bool:
    """Return whether a process runs, or is to run."""
    return statuses.status_of(process) in _WANTED


def _fitting(program: Program, processes: list[ProcessState], target: str) -> list[Button]:
    wanted = [is_wanted(process) for process in processes]
    buttons = []
    if not all(wanted):
        buttons.append(Button("start", f"Start{target}", "Start what does not run" if target else "Start it"))
    if any(wanted):
        buttons += [_stop(program, target), _restart(target)]
    if program.reload and any(process.get("pid") and is_wanted(process) for process in processes):
        buttons.append(_reload(program, target))
    return buttons


def _stop(program: Program, target: str) -> Button:
    grace = f"; what is left after {program.stop_grace_seconds} s is killed"
    return Button("stop", f"Stop{target}", f"Ask it to end, with SIG{program.stop_signal}{grace}")


def _restart(target: str) -> Button:
    title = "Stop what runs, and start it again" if target else "Stop it, and start it again"
    return Button("restart", f"Restart{target}", title)


def _reload(program: Program, target: str) -> Button:
    reload = program.reload or {}
    how = f"run its command {reload['command']}" if "command" in reload else f"send SIG{reload.get('signal')}"
    return Button("reload", f"Reload{target}", f"Have it read its configuration again: {how}")


def _enable(program: Program) -> Button:
    then = ", which happens at once" if program.boot else ""
    return Button("enable", "Enable", f"Let it be started{then}")


def _disable(program: Program) -> Button:
    return Button("disable", "Disable", "Stop it, and refuse all starts until it is enabled")
