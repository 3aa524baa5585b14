"""When a run has begun, and how it has ended."""

import time
from datetime import UTC, datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.admin.presentation.times import ago, duration, since
from daemon_programs.supervisor.states import LastRun, ProcessState


def how_it_ended(run: LastRun) -> str:
    """Return how a run ended, to follow its subject: "exited with code 3 after 0.4 s"."""
    if run["error"]:
        return f"could not be run: {run['error']}"
    how = f"was ended by {run['signal']}" if run["signal"] else f"exited with code {run['exit_code']}"
    return f"{how} after {duration(run['seconds'])}" if "seconds" in run else how


def last_run(process: ProcessState) -> SafeString | str:
    """Return how the last run of a process ended, and when; empty if none has ended without a request."""
    run = process.get("last_run")
    if not run or run["requested"]:
        return ""
    return format_html("{}, {}", how_it_ended(run), ago(datetime.fromtimestamp(run["ended_at"], UTC)))


def process_times(process: ProcessState) -> dict[str, SafeString]:
    """Return ``uptime`` of a process that is there, and ``next_start`` of one that is to be started again."""
    shown = {}
    if process.get("pid"):
        shown["uptime"] = since(time.time() - process.get("uptime", time.time() - process["started_at"]))
    if process["state"] == "backoff" and "next_start_at" in process:
        shown["next_start"] = ago(datetime.fromtimestamp(process["next_start_at"], UTC))
    return shown
