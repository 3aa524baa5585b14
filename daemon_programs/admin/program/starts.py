"""Why a start has not succeeded: what the process has done instead, with the last lines that it printed.

The API's sentences speak of requests ("is not running after 5 seconds"); people want to know what happened.
"""

import os

from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.admin.base import Unsuccessful
from daemon_programs.admin.presentation.logs import TERMINAL_SEQUENCES
from daemon_programs.admin.presentation.runs import how_it_ended
from daemon_programs.exceptions import DaemonError, DidNotStart, WaitTimedOut
from daemon_programs.logs.tail import open_log, tail
from daemon_programs.models import Program
from daemon_programs.programs import waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.observed.findings import findings
from daemon_programs.supervisor.instances import Key
from daemon_programs.supervisor.states import LastRun, ProcessState

_LINES = 8
_MOST_BYTES = 4 * 1024
_CLOCK_STEP_SECONDS = 0.1  # by which the time of a change to a file may be behind, and more
_AGAIN_AND_AGAIN = 2  # restarts without a stable run


def unsuccessful(program: Program, key: Key | None, problem: DidNotStart | WaitTimedOut) -> Unsuccessful:
    """Return the error for a start that has not led to a running process; re-raise what says no more."""
    state = waiting.state_of(program)
    process = statuses.process_state(state, key.process if key else program.group)
    words = explain(program, process)
    if words is None:
        raise problem
    label = f"“{program}”, {key.kind.name} {key.value}" if key else f"“{program}”"
    stream, lines = last_lines(program, key, process)
    if not lines:
        return Unsuccessful(f"{label} {words}.")
    html: SafeString = format_html(
        '{} {}. The last lines of {}:<pre class="last-lines">{}</pre>', label, words, stream, "\n".join(lines)
    )
    return Unsuccessful(html)


def explain(program: Program, process: ProcessState) -> str | None:
    """Return what a process does that was to run, to follow its name; None if nothing is known of a start."""
    found = findings(program, process)
    if waits := found.get("waiting_for"):
        return " and ".join(
            f"waits until “{each['program']}” is {each['condition']} ({each['status']})" for each in waits
        )
    word, run = statuses.status_of(process), process.get("last_run")
    is_looping = process.get("restarts_since_stable", 0) >= _AGAIN_AND_AGAIN
    if run and not run["requested"]:
        if word in ("exited", "fatal"):
            return how_it_ended(run)
        if word in ("backoff", "starting") and is_looping:
            return f"is restarted again and again: it {how_it_ended(run)}"
        if word == "backoff":
            return f"{how_it_ended(run)}, and is to be started again"
    if word == "running":
        because = found.get("not_ready_because")
        return f"runs, but is not ready: {because}" if because else "runs, but is not ready yet"
    if word == "starting":
        return _explain_starting(program, process)
    return {"stopping": "is still ending its last run", "stopped": "was stopped while it was starting"}.get(
        word
    )


def _explain_starting(program: Program, process: ProcessState) -> str:
    if process.get("pid"):
        return f"is starting: it counts as running once it has lived for {program.start_seconds} s"
    if program.delay_seconds:
        return f"is starting, after its delay of {program.delay_seconds} s"
    return "is still starting"


def last_lines(program: Program, key: Key | None, process: ProcessState) -> tuple[str, list[str]]:
    """Return the last lines that the last run has printed, of stderr if it has printed any there."""
    run = process.get("last_run")
    if not run or not program.logs_enabled:
        return "", []
    for stream in ("stdout",) if program.redirect_stderr else ("stderr", "stdout"):
        lines = _lines_of_run(program, program.log_path(stream, key), run)
        if any(lines):
            return stream, lines
    return "", []


def _lines_of_run(program: Program, path: str, run: LastRun) -> list[str]:
    """Return the last lines of a log that the last run has written to; none of an older run's."""
    began = run["ended_at"] - run.get("seconds", 0.0) - _CLOCK_STEP_SECONDS
    try:
        log = open_log(path, program.user)
        if log is None:
            return []
        try:
            written_at = os.fstat(log).st_mtime
        finally:
            os.close(log)
        lines = tail(path, _LINES, program.user, _MOST_BYTES).lines if written_at >= began else []
    except (DaemonError, OSError):
        return []  # the page says why
    return [TERMINAL_SEQUENCES.sub("", line) for line in lines]
