"""The presentation of live states and logs in the admin."""

import re
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.exceptions import DaemonError
from daemon_programs.logs.tail import tail
from daemon_programs.models import Program, SupervisedProgram
from daemon_programs.programs import preflight, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.observed.findings import findings
from daemon_programs.supervisor.instances import Key, Keys
from daemon_programs.supervisor.processes.signals import SIGNALS
from daemon_programs.supervisor.states import ProcessState, ProgramState

LOG_LINES = 50
# A single line may have megabytes.
_MAX_LOG_CHARACTERS = 64 * 1024
# Escape sequences of terminals (colours, cursor movements, titles), which browsers can't interpret.
_TERMINAL_SEQUENCES = re.compile(
    r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]"
)


def badge(word: str, detail: str = "") -> SafeString:
    """Return a status as a coloured word, followed by a detail."""
    return format_html(
        '<span class="state state-{}">{}</span> <span class="quiet">{}</span>', word, word, detail
    )


def summary(program: Program, state: ProgramState | None) -> SafeString:
    """Return the state of a program, for the list."""
    word = statuses.program_status(program, state)["status"]
    if program.keys is not None:
        running = statuses.count_running(statuses.list_instances(program, state))
        return badge(word, f"{running} of {len(program.keys)}")
    return badge(word, detail(statuses.process_state(state, program.group)))


def live(program: Program, key: Key | None, *, may_operate: bool) -> dict[str, Any]:
    """Return the template context of what a program's page shows above the form.

    ``key`` selects the instance whose logs are shown; without it, the first one that runs.
    """
    shown: dict[str, Any] = {
        "program": program,
        "may_operate": may_operate and program.enabled,
        "disabled": not program.enabled,
        "attach": program.attach_command,
        "signals": SIGNALS,
        "preflight_problem": preflight.problem(program),
    }
    try:
        state = waiting.state_of(program)
    except DaemonError as problem:
        shown |= {"badge": badge("unknown"), "problem": str(problem), "may_operate": False}
        state = None
    else:
        shown |= _process(program, state)
    if program.keys is None:
        key = None
    elif key is None or key not in program.keys:
        key = _first_key(shown, program.keys)
    address = reverse("program-log-stream", args=[program.pk])
    return {**shown, "key": key, "logs": log_tails(program, address, key)}


def _process(program: Program, state: ProgramState | None) -> dict[str, Any]:
    if program.keys is not None:
        instances = [_instance(program, row, state) for row in statuses.list_instances(program, state)]
        return {"badge": summary(program, state), "instances": instances}
    word = statuses.program_status(program, state)["status"]
    process = statuses.process_state(state, program.group)
    return {
        "badge": badge(word),
        "ended": _describe_last_run(process),
        **statuses.live_fields(process),
        **statuses.restarts(process),
        **findings(program, process),
    }


def _instance(program: Program, row: dict[str, Any], state: ProgramState | None) -> dict[str, Any]:
    key = statuses.key_in(row)
    process = statuses.process_state(state, key.process)
    shown = {"key": key, "badge": badge(row["status"]), "ended": _describe_last_run(process)}
    return {**row, **shown, **statuses.restarts(process), **findings(program, process)}


def _first_key(shown: dict[str, Any], keys: Keys) -> Key:
    instances = shown.get("instances")
    return instances[0]["key"] if instances else next(iter(keys))


def detail(process: ProcessState) -> str:
    """Return how long a process has been running, or how its last run ended; may be empty."""
    fields = statuses.live_fields(process)
    if "uptime" in fields:
        return str(fields["uptime"])
    return statuses.describe_outcome(process.get("last_run")) if statuses.last_run(process) else ""


def _describe_last_run(process: ProcessState) -> str:
    ended = statuses.last_run(process)
    return f"{statuses.describe_outcome(process.get('last_run'))}, {ended['ended_at']}" if ended else ""


def log_tails(program: SupervisedProgram, address: str, key: Key | None = None) -> list[dict[str, str]]:
    """Return the template context of ``logs.html``: the last lines of both logs, and where to stream them.

    ``address`` is the path of the program's log stream.
    """
    tails = []
    for stream in ("stdout", "stderr"):
        file = program.log_path(stream, key)
        query = {"type": stream, "lines": LOG_LINES, **({} if key is None else {key.kind.name: key.value})}
        live = f"{address}?{urlencode(query)}"
        tails.append({"stream": stream, "file": file, "live": live, **_log_tail(file, program.user)})
    return tails


def _log_tail(file: str, user: str) -> dict[str, str]:
    try:
        text = "\n".join(tail(file, LOG_LINES, user, _MAX_LOG_CHARACTERS).lines)
    except DaemonError as problem:
        return {"problem": f"{problem}."}
    except OSError as problem:
        return {"problem": f"It can't be read: {problem.strerror}"}
    return {"text": _TERMINAL_SEQUENCES.sub("", text)}
