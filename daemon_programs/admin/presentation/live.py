"""What a program's page shows above the form: its processes, what they are waiting for, and its logs."""

from typing import Any

from django.urls import reverse

from daemon_programs.admin.presentation.badges import badge, program_badge, severity_of
from daemon_programs.admin.presentation.logs import log_tails
from daemon_programs.exceptions import DaemonError
from daemon_programs.models import Program
from daemon_programs.programs import preflight, waiting
from daemon_programs.programs.observed import statuses
from daemon_programs.programs.observed.findings import findings
from daemon_programs.supervisor.instances import Key, Keys
from daemon_programs.supervisor.processes.signals import SIGNALS
from daemon_programs.supervisor.states import ProcessState, ProgramState


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
        return {"badge": program_badge(program, state), "instances": instances}
    word = statuses.program_status(program, state)["status"]
    process = statuses.process_state(state, program.group)
    return {
        "badge": badge(word, "", severity_of(process)),
        "ended": _describe_last_run(process),
        **statuses.live_fields(process),
        **statuses.restarts(process),
        **findings(program, process),
    }


def _instance(program: Program, row: dict[str, Any], state: ProgramState | None) -> dict[str, Any]:
    key = statuses.key_in(row)
    process = statuses.process_state(state, key.process)
    shown = {
        "key": key,
        "badge": badge(row["status"], "", severity_of(process)),
        "ended": _describe_last_run(process),
    }
    return {**row, **shown, **statuses.restarts(process), **findings(program, process)}


def _first_key(shown: dict[str, Any], keys: Keys) -> Key:
    instances = shown.get("instances")
    return instances[0]["key"] if instances else next(iter(keys))


def _describe_last_run(process: ProcessState) -> str:
    ended = statuses.last_run(process)
    return f"{statuses.describe_outcome(process.get('last_run'))}, {ended['ended_at']}" if ended else ""
