"""What needs attention: programs and parts of the stack that don't do what they are to do."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Max, Q
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django_q.models import Task

from daemon_programs.admin.presentation.badges import Severity, badge, severity_of
from daemon_programs.history.restarts import Flapping
from daemon_programs.models import Delivery, Program
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.observed.parts import parts_up
from daemon_programs.supervisor.instances import key_of
from daemon_programs.supervisor.states import ProcessState, ProgramState, States
from hoody_site.stack.watchdog import QUEUE, STALLED_AFTER_SECONDS

_ORDER = (Severity.BAD, Severity.WARNING)
_DELIVERIES_FAILED_WITHIN = timedelta(hours=1)


class Problem(NamedTuple):
    """Something that needs attention. ``word`` says its kind, ``sentence`` what is so."""

    severity: Severity
    word: str
    subject: str
    url: str
    sentence: str

    @property
    def badge(self) -> SafeString:
        """Return the kind as a badge."""
        return badge(self.word, severity=self.severity)


def sort(problems: Iterable[Problem]) -> list[Problem]:
    """Return problems with the worst first, those of one severity in their order."""
    return sorted(problems, key=lambda problem: _ORDER.index(problem.severity))


def of_programs(
    programs: Iterable[Program], states: Mapping[str, ProgramState], flapping: Mapping[str, Flapping]
) -> Iterator[Problem]:
    """Yield the problems of programs, from the states that supervisord reports."""
    for program in programs:
        for severity, word, sentence in _of_program(program, states.get(program.group), flapping):
            address = reverse("admin:daemon_programs_program_change", args=[program.pk])
            yield Problem(severity, word, program.name, address, sentence)


def _of_program(
    program: Program, state: ProgramState | None, flapping: Mapping[str, Flapping]
) -> Iterator[tuple[Severity, str, str]]:
    if program.enabled and state is None:
        yield (
            Severity.WARNING,
            "unknown",
            "supervisord lacks it: the next reconciliation corrects that",
        )
    restarted = flapping.get(program.group)
    if restarted and _goes_on(state):
        yield Severity.WARNING, "flapping", f"it was {restarted}"
    found: dict[tuple[Severity, str], list[tuple[str, str]]] = {}
    for name, process in sorted(state["processes"].items()) if state else ():
        if problem := _of_process(process, is_flapping=restarted is not None):
            severity, word, sentence = problem
            found.setdefault((severity, word), []).append((name, sentence))
    for (severity, word), processes in found.items():
        yield severity, word, _of_all(program, processes)


def _goes_on(state: ProgramState | None) -> bool:
    """Return whether any process is still restarted, rather than given up or stopped."""
    words = {statuses.status_of(process) for process in state["processes"].values()} if state else set()
    return bool(words & {"running", "starting", "backoff"})


def _of_process(process: ProcessState, *, is_flapping: bool) -> tuple[Severity, str, str] | None:
    word = statuses.status_of(process)
    if word == "fatal":
        return Severity.BAD, word, statuses.describe_outcome(process.get("last_run"))
    if word == "exited" and severity_of(process) is Severity.BAD:
        return Severity.BAD, "failed", statuses.describe_outcome(process.get("last_run"))
    if word == "running" and process.get("healthy") is False:
        return Severity.BAD, "unhealthy", process.get("unhealthy_because", "")
    if unmet := process.get("waiting_for"):
        waits = ", ".join(f"{each['program']} is {each['condition']}" for each in unmet)
        return Severity.WARNING, "waiting", f"it waits until {waits}"
    if word == "backoff" and not is_flapping:
        return Severity.WARNING, word, statuses.describe_outcome(process.get("last_run"))
    return None


def _of_all(program: Program, processes: list[tuple[str, str]]) -> str:
    """Return the sentence about all processes of a program that have the same problem."""
    first, sentence = processes[0]
    key = key_of(first) if program.keys else None
    if key is None:
        return sentence
    more = f" and {len(processes) - 1} more" if len(processes) > 1 else ""
    return f"{key.kind.name} {key.value}{more}: {sentence}"


def of_deliveries() -> Iterator[Problem]:
    """Yield the webhook deliveries that failed within the last hour, and those that are tried again."""
    since = datetime.now(UTC) - _DELIVERIES_FAILED_WITHIN
    failing = Q(state=Delivery.FAILED, queued_at__gte=since) | Q(state=Delivery.PENDING, tries__gt=0)
    counts = Delivery.objects.filter(failing).order_by().values_list("state").annotate(count=Count("pk"))
    page = reverse("admin:daemon_programs_delivery_changelist")
    for state, count in counts:
        has_failed = state == Delivery.FAILED
        severity = Severity.BAD if has_failed else Severity.WARNING
        what = "given up within the last hour" if has_failed else "failed so far, and tried again"
        address = f"{page}?{urlencode({'state': state})}"
        yield Problem(severity, "failing", "Webhooks", address, f"{count} × {what}")


def of_stack(report: States) -> Iterator[Problem]:
    """Yield the problems of the stack itself: parts that don't work, and processes that nothing claims."""
    page = reverse("ready")
    for part, is_up in parts_up(report["stack"]).items():
        if not is_up:
            yield Problem(Severity.BAD, "down", f"The {part}", page, "it is down, or ends again and again")
    if problem := _stale_queue(report):
        yield problem
    if count := len(report["unclaimed"]):
        what = "1 process that belongs" if count == 1 else f"{count} processes that belong"
        sentence = f"{what} to no program: see GET status"
        yield Problem(Severity.WARNING, "unclaimed", "Processes", reverse("statuses"), sentence)


def _stale_queue(report: States) -> Problem | None:
    queue: Any = report["stack"].get(QUEUE, {"seconds": 0.0})
    if queue["seconds"] < STALLED_AFTER_SECONDS:
        return None
    finished = Task.objects.aggregate(at=Max("stopped"))["at"]
    if finished and (datetime.now(UTC) - finished).total_seconds() < STALLED_AFTER_SECONDS:
        return None
    page = reverse("admin:django_q_success_changelist")
    return Problem(Severity.BAD, "stale", "The queue", page, "it has finished no task for three minutes")
