"""Whether the programs of a plan that was made become ready, or why not."""

from dataclasses import dataclass
from typing import Any

from daemon_programs.exceptions import DidNotStart
from daemon_programs.maintenance.sets.planning import Action, Plan, States, Step
from daemon_programs.models import Program
from daemon_programs.programs import services
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.targets import label
from daemon_programs.supervisor.instances import key_of
from daemon_programs.supervisor.states import ProcessState, ProgramState


@dataclass(frozen=True)
class NotReady:
    """A program that is not ready, and why, as the rest of a sentence about it."""

    program: Program
    reason: str

    def __str__(self) -> str:
        return f"Program '{self.program.name}' {self.reason}"

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"name": self.program.name, "id": self.program.pk, "reason": self.reason}


class AwaitedPrograms:
    """The programs that are to run after a plan was made: those that it starts, and those that ran before.

    ``failed`` are those that have failed, ``pending`` those that may still become ready.
    """

    def __init__(self, plan: Plan) -> None:
        # The names of processes; None until those are known that the change has started.
        self._names: dict[int, list[str] | None] = {}
        self._programs: list[Program] = []
        for step in plan.steps:
            if step.action is Action.REMOVE or not step.program.enabled:
                continue
            names = statuses.processes_with(plan.states.get(step.program.group), statuses.ACTIVE)
            if _starts_something(step) or names:
                self._programs.append(step.program)
                self._names[step.program.pk] = None if _starts_something(step) else names
        self.failed: list[NotReady] = []
        self.pending: list[NotReady] = []

    def is_decided(self, states: States) -> bool:
        """Look at all of them; return whether all are ready, or one has failed."""
        self.failed, self.pending = [], []
        for program in self._programs:
            try:
                reason = self._look(program, states.get(program.group))
                if reason:
                    self.pending.append(NotReady(program, reason))
            except DidNotStart as problem:
                self.failed.append(NotReady(program, str(problem)))
        return bool(self.failed) or not self.pending

    def _look(self, program: Program, state: ProgramState | None) -> str | None:
        """Return why a program is not ready yet, None if it is; raise DidNotStart with why it won't be."""
        if state is None:
            raise DidNotStart("was disabled or removed while it was starting")
        if state["changing"]:
            return "is still being stopped"
        names = self._names[program.pk]
        if names is None:
            names = self._names[program.pk] = list(state["processes"])
        if not names:  # a process that is stopped before it has run is not reported
            raise DidNotStart("was stopped while it was starting")
        for name in names:
            key = None if program.keys is None else key_of(name)
            subject = label(program, key)
            which = "" if key is None else f"has the instance {program.instance_name(key)}, which "
            process = statuses.process_state(state, name)
            try:
                if not services.has_started(program, key, process):
                    return f"{which}{_why_not_ready(process)}"
            except DidNotStart as problem:
                raise DidNotStart(f"{which}{str(problem).removeprefix(subject).strip()}") from None
        return None


def _starts_something(step: Step) -> bool:
    return step.restarts or (step.action is Action.CREATE and step.program.boot)


def _why_not_ready(process: ProcessState) -> str:
    if unmet := process.get("waiting_for"):
        return f"waits for '{unmet[0]['program']}' ({unmet[0]['condition']})"
    status = statuses.status_of(process)
    if status == "backoff":
        return f"is in backoff: {statuses.describe_outcome(process.get('last_run'))}"
    if status == "running":
        why = process.get("not_ready_because")
        return f"is not ready: {why}" if why else "is not ready"
    return f"is {status}"
