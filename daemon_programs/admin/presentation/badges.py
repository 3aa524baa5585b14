"""States as coloured words: a badge says the state, and its severity is both a colour and a symbol."""

from enum import Enum

from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.models import Program
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import ProcessState, ProgramState


class Severity(Enum):
    """How much attention a state needs. The stylesheet has a colour and a symbol for each."""

    GOOD = "good"
    BUSY = "busy"
    NEUTRAL = "neutral"
    WARNING = "warning"
    BAD = "bad"


_SEVERITIES = {
    "running": Severity.GOOD,
    "starting": Severity.BUSY,
    "stopping": Severity.BUSY,
    "backoff": Severity.WARNING,
    "unknown": Severity.WARNING,
    "fatal": Severity.BAD,
}


def badge(word: str, detail: str = "", severity: Severity | None = None) -> SafeString:
    """Return a status as a coloured word, followed by a detail; without a severity, that of the word."""
    severity = severity or _SEVERITIES.get(word, Severity.NEUTRAL)
    return format_html(
        '<span class="state state-{} severity-{}">{}</span> <span class="quiet">{}</span>',
        word,
        severity.value,
        word,
        detail,
    )


def process_badge(process: ProcessState) -> SafeString:
    """Return the badge of a process, with how long it has been running or how its last run ended."""
    return badge(statuses.status_of(process), detail(process), severity_of(process))


def severity_of(process: ProcessState) -> Severity:
    """Return the severity of a process' state: a failure and a process that is unhealthy are bad."""
    word = statuses.status_of(process)
    if word == "exited" and _has_failed(process):
        return Severity.BAD
    if word == "running" and process.get("healthy") is False:
        return Severity.BAD
    return _SEVERITIES.get(word, Severity.NEUTRAL)


def program_badge(program: Program, state: ProgramState | None) -> SafeString:
    """Return the badge of a program; of one with instances, with how many of them run."""
    word = statuses.program_status(program, state)["status"]
    if program.keys is not None:
        running = statuses.count_running(statuses.list_instances(program, state))
        return badge(word, f"{running} of {len(program.keys)}")
    process = statuses.process_state(state, program.group)
    return badge(word, detail(process), None if word == "unknown" else severity_of(process))


def detail(process: ProcessState) -> str:
    """Return how long a process has been running, or how its last run ended; may be empty."""
    fields = statuses.live_fields(process)
    if "uptime" in fields:
        return str(fields["uptime"])
    return statuses.describe_outcome(process.get("last_run")) if statuses.last_run(process) else ""


def _has_failed(process: ProcessState) -> bool:
    ended = process.get("last_run")
    return bool(
        ended and not ended["requested"] and (ended["error"] or ended["signal"] or ended["exit_code"])
    )
