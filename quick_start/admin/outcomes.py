"""How a temporary program has ended, for people: a sentence, its severity, and a badge of both."""

from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.badges import Severity, badge, severity_of
from daemon_programs.admin.presentation.times import duration, since
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.states import ProcessState
from quick_start.lifecycle import LOST
from quick_start.models import EphemeralProgram


def outcome(record: EphemeralProgram) -> str:
    """Return how a program ended and after what time, such as "exited with code 3 after 0.4 s"."""
    if record.ended_at is None:
        return ""
    took = duration((record.ended_at - record.created_at).total_seconds())
    if record.error:
        # The time of a lost program's end is not known.
        return record.error if record.error == LOST else f"{record.error}, after {took}"
    if record.signal:
        return f"ended by {record.signal} after {took}"
    if record.exit_code is None:
        return "stopped before it ran"
    return f"exited with code {record.exit_code} after {took}"


def severity(record: EphemeralProgram) -> Severity:
    """Return the severity of an end: a failure is bad, and a program that was cut short a warning."""
    has_failed = record.error or record.signal or record.exit_code
    if record.final_status == "fatal" or (record.final_status == "exited" and has_failed):
        return Severity.BAD
    return Severity.WARNING if record.error else Severity.NEUTRAL


def ended_badge(record: EphemeralProgram) -> SafeString:
    """Return the badge of a program that has ended."""
    return badge(record.final_status, "", severity(record))


def live_badge(process: ProcessState) -> SafeString:
    """Return the badge of a program that has not ended, with how long it has been running."""
    running_for = since(process["started_at"]) if "started_at" in process and process.get("pid") else ""
    return badge(statuses.status_of(process), running_for, severity_of(process))
