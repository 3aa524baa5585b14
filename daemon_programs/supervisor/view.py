"""What a client of supervisord knows of the programs, so that it is only told what has changed since.

A view is never used by itself: each request asks supervisord, whose answer brings the view up to date. So an
answer is as new as if all of it had been sent.
"""

from dataclasses import dataclass, field

from daemon_programs.supervisor.states import ProcessState, ProgramState, States, StatesChanged


@dataclass(frozen=True)
class View:
    """The states of all programs as of one answer. ``boot`` and ``number`` are what supervisord calls it."""

    boot: str = ""
    number: int = 0
    programs: dict[str, ProgramState] = field(default_factory=dict)
    reported_at: dict[str, float] = field(default_factory=dict)  # by group, on the monotonic clock

    def updated(self, answer: StatesChanged) -> "View":
        """Return the view as of an answer to a request that was made with this one."""
        programs, reported_at = answer["programs"], dict.fromkeys(answer["programs"], answer["at"])
        if answer["boot"] == self.boot:
            programs, reported_at = {**self.programs, **programs}, {**self.reported_at, **reported_at}
        if (names := answer["names"]) is not None:
            programs = {name: programs[name] for name in names}
            reported_at = {name: reported_at[name] for name in names}
        return View(answer["boot"], answer["number"], programs, reported_at)

    def states(self, answer: StatesChanged) -> States:
        """Return the states of everything as of the answer that the view was updated with."""
        orphans = answer["orphans"]
        programs: dict[str, ProgramState] = {}
        for group, state in self.programs.items():
            passed = answer["at"] - self.reported_at[group]
            adopted = orphans.get(group, {})
            processes = {
                name: _now(process, passed, adopted.get(name)) for name, process in state["processes"].items()
            }
            programs[group] = {**state, "processes": processes}
        return {
            "pid": answer["pid"],
            "is_ending": answer["is_ending"],
            "programs": programs,
            "stack": answer["stack"],
            "unclaimed": answer["unclaimed"],
        }


def _now(process: ProcessState, passed: float, orphans: list[int] | None) -> ProcessState:
    """Return the state of a process that was reported some seconds ago, and has not changed since."""
    if orphans:
        process = {**process, "orphans": orphans}
    return {**process, "uptime": process["uptime"] + passed} if "uptime" in process else process
