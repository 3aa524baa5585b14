"""What the admin shows of what runs: from supervisord's states and the logs to lines for people."""

import re
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs.exceptions import DaemonError
from daemon_programs.logs.tail import tail
from daemon_programs.models import Program, SupervisedProgram
from daemon_programs.programs import preflight, readiness, statuses, waiting
from daemon_programs.supervisor.states import ProcessState, ProgramState

LOG_LINES = 50
# A line may be megabytes long; a page has an end all the same.
_MOST_LOG_CHARACTERS = 64 * 1024
# Colours, cursor movements and titles: what terminals are told, and browsers show as rubbish.
_FOR_TERMINALS = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])|[\x0e\x0f]")


def badge(word: str, detail: str = "") -> SafeString:
    """A status as a coloured word, with a remark beside it."""
    return format_html(
        '<span class="state state-{}">{}</span> <span class="quiet">{}</span>', word, word, detail
    )


def summary(program: Program, state: ProgramState | None) -> SafeString:
    """The state of a program as one line of the list."""
    word = statuses.program_status(program, state)["status"]
    if program.has_ports:
        running = statuses.count_running(statuses.list_instances(program, state))
        return badge(word, f"{running} of {len(program.ports)}")
    return badge(word, remark(statuses.process_state(state, program.group)))


def live(program: Program, port: int | None, *, may_operate: bool) -> dict[str, Any]:
    """What the page of one program shows above its form; ``port`` chooses the instance of the logs."""
    shown: dict[str, Any] = {
        "program": program,
        "may_operate": may_operate and program.enabled,
        "disabled": not program.enabled,
        "attach": program.attach_command,
        "obstacle": preflight.obstacle(program),
    }
    try:
        state = waiting.state_of(program)
    except DaemonError as problem:
        shown |= {"badge": badge("unknown"), "problem": str(problem), "may_operate": False}
        state = None
    else:
        shown |= _process(program, state)
    if program.has_ports:
        port = port if port in program.ports else _first_port(shown, program)
    address = reverse("program-log-stream", args=[program.pk])
    return {**shown, "port": port, "logs": log_ends(program, address, port)}


def _process(program: Program, state: ProgramState | None) -> dict[str, Any]:
    if program.has_ports:
        instances = [_instance(row, state) for row in statuses.list_instances(program, state)]
        return {"badge": summary(program, state), "instances": instances}
    word = statuses.program_status(program, state)["status"]
    process = statuses.process_state(state, program.group)
    shown = {"badge": badge(word), "ended": _how_it_ended(process), **statuses.live_fields(process)}
    if program.ready_port is not None:
        shown["ready"] = word == "running" and readiness.accepts(program.ready_port)
    return shown


def _instance(row: dict[str, Any], state: ProgramState | None) -> dict[str, Any]:
    process = statuses.process_state(state, str(row["port"]))
    return {**row, "badge": badge(row["status"]), "ended": _how_it_ended(process)}


def _first_port(shown: dict[str, Any], program: Program) -> int:
    instances = shown.get("instances")
    return int(instances[0]["port"]) if instances else program.ports[0]


def remark(process: ProcessState) -> str:
    """For how long it has been running, or why it is not."""
    fields = statuses.live_fields(process)
    if "uptime" in fields:
        return str(fields["uptime"])
    return statuses.why_it_ended(process.get("last_run")) if statuses.last_run(process) else ""


def _how_it_ended(process: ProcessState) -> str:
    ended = statuses.last_run(process)
    return f"{statuses.why_it_ended(process.get('last_run'))}, {ended['ended_at']}" if ended else ""


def log_ends(program: SupervisedProgram, address: str, port: int | None = None) -> list[dict[str, str]]:
    """The last lines of both logs, for ``logs.html``, and where to follow them: ``address`` and a query."""
    ends = []
    for stream in ("stdout", "stderr"):
        file = program.log_path(stream, port)
        query = {"type": stream, "lines": LOG_LINES, **({} if port is None else {"port": port})}
        live = f"{address}?{urlencode(query)}"
        ends.append({"stream": stream, "file": file, "live": live, **_log_end(file, program.user)})
    return ends


def _log_end(file: str, user: str) -> dict[str, str]:
    try:
        text = "\n".join(tail(file, LOG_LINES, user))[-_MOST_LOG_CHARACTERS:]
    except DaemonError as problem:
        return {"problem": f"{problem}."}
    except OSError as problem:
        return {"problem": f"It can't be read: {problem.strerror}"}
    return {"text": _FOR_TERMINALS.sub("", text)}
