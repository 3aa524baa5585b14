"""Change programs to what a list of them says, as a whole or not at all.

What has been changed may be waited for, and taken back if it does not become ready.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from daemon_programs.exceptions import Conflict, DaemonError, DidNotStart, NotRegistered, WaitTimedOut
from daemon_programs.maintenance.sets import changes, planning
from daemon_programs.maintenance.sets.awaiting import AwaitedPrograms, NotReady
from daemon_programs.maintenance.sets.changes import Change
from daemon_programs.maintenance.sets.planning import Plan, Wish
from daemon_programs.models import Program, WebhookSecret
from daemon_programs.programs import registration, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.reported import REPORTED_ERRORS, error_message
from daemon_programs.supervisor.changes import EVERY_GROUP, Watch
from daemon_programs.supervisor.gateway import changes as state_changes
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.transactions import write_transaction

_OUTDATED = "The programs are not as they were in the revision that was given; nothing was changed"
_WANTED = (*statuses.ACTIVE, "backoff")  # the statuses of processes that are to run


@dataclass(frozen=True)
class Options:
    """How a wish is applied. ``allow`` is called with a plan before it is made, and may raise."""

    allow: Callable[[Plan], None]
    dry_run: bool = False
    revision: str | None = None
    wait: bool = False
    timeout: int = 30
    rollback: bool = False


def apply(wish: Wish, options: Options) -> dict[str, Any]:
    """Change the programs to what a wish says; return the plan, with the revision to which that leads.

    With ``dry_run`` return the plan with the present revision, and change nothing. Raise Conflict if the
    present one is not that of the options, or a program belongs to another set. With ``wait`` raise
    DidNotStart or WaitTimedOut if a program does not become ready, and ShuttingDown if the stack is being
    stopped meanwhile.
    """
    if options.dry_run:
        with write_transaction():
            return _document(_checked_plan(wish, options), None)
    waits = state_changes.watch(EVERY_GROUP) if options.wait else nullcontext()
    with waits as watch:  # before anything is changed: if too many wait, nothing is
        with write_transaction():
            plan = _checked_plan(wish, options)
            options.allow(plan)
            made = _Made(plan)
            changes.make(plan.change)
            made.revision = planning.revision_of(wish)
        changes.wait_until_replaced(plan.change)
        if watch is not None:
            _wait(made, watch, options)
    return _document(plan, made.revision)


def _checked_plan(wish: Wish, options: Options) -> Plan:
    if options.revision is not None and planning.revision_of(wish) != options.revision:
        raise Conflict(_OUTDATED)
    return planning.make_plan(wish)


def _document(plan: Plan, revision: str | None) -> dict[str, Any]:
    """Return the plan as JSON. ``revision`` is that of what was made; None if nothing was."""
    is_made = revision is not None
    return {
        "dry_run": not is_made,
        "set": plan.wish.set or None,
        "revision": revision if is_made else plan.revision,
        "plan": [step.document(is_made=is_made) for step in plan.steps],
        "counts": plan.counts(),
    }


@dataclass
class _Made:
    """A plan that is made, and what it takes to go back."""

    plan: Plan
    revision: str = ""
    secrets: list[WebhookSecret] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.secrets = list(WebhookSecret.objects.filter(program__in=self.plan.change.remove))

    def take_back(self) -> None:
        """Go back to the former configuration, as a whole, and start again what ran.

        Raise Conflict if the programs have been changed since.
        """
        change = self.plan.change
        former = Change(
            remove=change.add,
            change=[(wanted, former) for former, wanted in change.change],
            add=change.remove,
        )
        with write_transaction():
            if planning.revision_of(self.plan.wish) != self.revision:
                raise Conflict("the programs have been changed again meanwhile")
            with registration.without_boot():  # what had been stopped stays so
                changes.make(former)  # without a rehearsal: it was so before
            WebhookSecret.objects.bulk_create(self.secrets)
        changes.wait_until_replaced(former)
        for program in former.wanted:
            self._start_again(program)

    def _start_again(self, program: Program) -> None:
        """Start the processes of a program that ran before, and don't any more."""
        if not program.enabled:
            return
        for name in statuses.processes_with(self.plan.states.get(program.group), _WANTED):
            try:
                supervisor.start(program.group, name)
            except NotRegistered:
                return  # disabled or removed meanwhile


def _wait(made: _Made, watch: Watch, options: Options) -> None:
    """Wait until everything is ready; otherwise raise the error that says what is not, and was done."""
    awaited = AwaitedPrograms(made.plan)
    try:
        waiting.watch_every_until(watch, awaited.is_decided, options.timeout)
    except WaitTimedOut:
        raise _not_ready(made, awaited.pending, options, WaitTimedOut) from None
    if awaited.failed:
        raise _not_ready(made, awaited.failed, options, DidNotStart)


def _not_ready(
    made: _Made, which: list[NotReady], options: Options, kind: type[DidNotStart | WaitTimedOut]
) -> DaemonError:
    """Return the error for programs that are not ready, after going back if that was asked for."""
    others = f" and {len(which) - 1} more" if which[1:] else ""
    sentence = f"{which[0]}{others}"
    if kind is WaitTimedOut:
        sentence += f", after {options.timeout} seconds"
    extra: dict[str, Any] = {"not_ready": [each.document() for each in which]}
    if options.rollback:
        try:
            made.take_back()
            sentence += "; the former configuration is back"
            extra["rolled_back"] = True
        except REPORTED_ERRORS as problem:
            sentence += f"; the former configuration is not back: {error_message(problem)}"
            extra["rolled_back"] = False
    return kind(sentence, **extra)
