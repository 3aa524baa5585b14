"""Which programs wait for which others, and whether these are as far as they are to be."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from supervisor.states import ProcessStates, getProcessStateDescription

from daemon_programs.supervisor.plugin.programs.process import ProgramProcess
from daemon_programs.supervisor.probes import COMPLETED, READY
from daemon_programs.supervisor.states import Unmet

# Of several instances, the state that is most likely why a condition does not hold.
_TELLING = (
    ProcessStates.FATAL,
    ProcessStates.BACKOFF,
    ProcessStates.STOPPING,
    ProcessStates.STARTING,
    ProcessStates.EXITED,
    ProcessStates.STOPPED,
)


class Waiting(Protocol):
    """The part of a group that is used here."""

    config: Any
    processes: dict[str, ProgramProcess]
    to_start: list[str]

    @property
    def changing(self) -> bool: ...

    def wake(self) -> None: ...


Group = TypeVar("Group", bound=Waiting)


class Dependencies:
    """Finds groups by the names of their programs, and wakes those that wait for a group.

    Names, not groups, are what a dependency refers to: a program may be removed and added again.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, Waiting] = {}
        self._waiting: dict[str, dict[str, Waiting]] = {}  # by the name of what they wait for

    def add(self, group: Waiting) -> None:
        """Note a group under its present name."""
        self._by_name[_name_of(group)] = group
        self.announce(group)

    def remove(self, group: Waiting, name: str | None = None) -> None:
        """Forget a group that has, or had, this name. Another one may have the name by now."""
        for each in group.config.spec["depends_on"]:
            self._waiting.get(each["program"], {}).pop(group.config.name, None)
        name = _name_of(group) if name is None else name
        if self._by_name.get(name) is group:
            del self._by_name[name]
            self._wake(name)

    def announce(self, group: Waiting) -> None:
        """Have the groups that wait for this one look again."""
        self._wake(_name_of(group))

    def unmet(self, group: Waiting) -> list[Unmet]:
        """Return what a group still waits for; it is woken when one of these changes."""
        found: list[Unmet] = []
        for each in group.config.spec["depends_on"]:
            name, condition = each["program"], each["condition"]
            other = self._by_name.get(name)
            if other is None or not _holds(other, condition):
                found.append(
                    {"program": name, "condition": condition, "state": _state_of(other) if other else None}
                )
                self._waiting.setdefault(name, {})[group.config.name] = group
        return found

    def _wake(self, name: str) -> None:
        for group in self._waiting.pop(name, {}).values():
            group.wake()
            group.config.context.wakeup.poke()


def dependents(groups: Iterable[Group]) -> dict[str, list[Group]]:
    """Return which groups depend on each group, by its name in supervisord.

    Groups that depend on each other in a circle, which the rules refuse, are left out.
    """
    groups = list(groups)
    by_name = {_name_of(group): group for group in groups if not group.config.spec["temporary"]}
    found: dict[str, list[Group]] = {group.config.name: [] for group in groups}
    for group in groups:
        for each in group.config.spec["depends_on"]:
            if each["program"] in by_name:
                found[by_name[each["program"]].config.name].append(group)
    return {name: found[name] for name in _outside_of_circles(found)}


def _outside_of_circles(found: dict[str, list[Group]]) -> set[str]:
    """Return the names of which all dependents can be put before them."""
    placed: set[str] = set()
    while following := {
        name for name in found.keys() - placed if all(group.config.name in placed for group in found[name])
    }:
        placed |= following
    return placed


def _holds(group: Waiting, condition: str) -> bool:
    """Return whether a condition holds: for all processes of the group that are meant to run."""
    if group.to_start or group.changing:
        return False
    processes = list(group.processes.values())
    meant = [process for process in processes if process.wanted]
    if condition != COMPLETED and meant:
        return all(process.is_ready if condition == READY else _runs(process) for process in meant)
    ended = [process for process in processes if process.state == ProcessStates.EXITED]
    has_completed = not meant and bool(ended) and all(map(_has_succeeded, ended))
    return has_completed and condition != READY


def _runs(process: ProgramProcess) -> bool:
    return bool(process.state == ProcessStates.RUNNING)


def _has_succeeded(process: ProgramProcess) -> bool:
    return process.last_run is not None and process.last_run["exit_code"] in process.config.exitcodes


def _state_of(group: Waiting) -> str:
    states = {process.state for process in group.processes.values()}
    telling = next((state for state in _TELLING if state in states), ProcessStates.RUNNING)
    return str(getProcessStateDescription(telling)).lower()


def _name_of(group: Waiting) -> str:
    return str(group.config.spec["name"])
