"""What a program's page shows above the form: its state, verbs and instances. It is refreshed as a whole."""

from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from daemon_programs.admin.presentation import instances, runs, verbs
from daemon_programs.admin.presentation.badges import Severity, badge, severity_of
from daemon_programs.exceptions import DaemonError
from daemon_programs.history.restarts import flapping
from daemon_programs.models import Program
from daemon_programs.programs import preflight, waiting
from daemon_programs.programs.observed import stats, statuses
from daemon_programs.programs.observed.findings import findings
from daemon_programs.supervisor.processes.signals import SIGNALS
from daemon_programs.supervisor.spec import digest_of
from daemon_programs.supervisor.states import ProcessState, ProgramState
from daemon_programs.validators import rules

_SYMBOLS = {
    Severity.GOOD: "●",
    Severity.BUSY: "◐",
    Severity.NEUTRAL: "○",
    Severity.WARNING: "▲",
    Severity.BAD: "■",
}
_GOES_ON = ("running", "starting", "backoff", "fatal")  # of what is stopped, former restarts are past


def live(program: Program, *, may_operate: bool, may_change: bool) -> dict[str, Any]:
    """Return the template context of what is refreshed above the form of a program."""
    shown: dict[str, Any] = {
        "program": program,
        "attach": program.attach_command,
        "preflight_problem": preflight.problem(program),
    }
    try:
        state = waiting.state_of(program)
    except DaemonError as problem:
        return {**shown, **_state_of_unknown(), "problem": str(problem)}
    may_operate = may_operate and program.enabled
    processes = _processes(program, state)
    buttons = verbs.for_program(program, state, may_operate=may_operate, may_change=may_change)
    is_there = any(process.get("pid") for process in processes)
    return {
        **shown,
        **_state(program, state),
        "verbs": buttons,
        "signals": SIGNALS if may_operate and is_there else (),
        "usage": _usage(program, state) if is_there else None,
        "notes": _notes(program, state, processes),
        "since": min((process["started_at"] for process in processes if process.get("pid")), default=None),
        **(_instances(program, state, may_operate) if program.keys else {}),
    }


def _processes(program: Program, state: ProgramState | None) -> list[ProcessState]:
    if program.keys is None:
        return [statuses.process_state(state, program.group)]
    return list(state["processes"].values()) if state else []


def _state_of_unknown() -> dict[str, Any]:
    return {"badge": badge("unknown"), "title": f"{_SYMBOLS[Severity.WARNING]} unknown"}


def _state(program: Program, state: ProgramState | None) -> dict[str, Any]:
    """Return the badge, the state for the page's title, and what is told of the only process."""
    word = statuses.program_status(program, state)["status"]
    restarted = flapping([program.group]).get(program.group) if word in _GOES_ON else None
    shown: dict[str, Any] = {"flapping": restarted}
    detail = ""
    if program.keys is not None:
        running = statuses.count_running(statuses.list_instances(program, state))
        detail = f"{running} of {len(program.keys)}"
        severity = _severity_of_all(word, state)
    else:
        process = statuses.process_state(state, program.group)
        severity = Severity.WARNING if word == "unknown" else severity_of(process)
        shown |= _single(program, process)
    if restarted and severity is not Severity.BAD:
        severity = Severity.WARNING
        word_of_title = "flapping"
    else:
        word_of_title = f"{word} {detail}".strip()
    return {
        **shown,
        "badge": badge(word, detail, severity),
        "title": f"{_SYMBOLS[severity]} {word_of_title}",
    }


def _severity_of_all(word: str, state: ProgramState | None) -> Severity:
    """Return the severity of a program with instances: one that has failed makes it a warning."""
    severities = {severity_of(process) for process in (state["processes"] if state else {}).values()}
    own = severity_of({"state": word})
    if own in (Severity.GOOD, Severity.BUSY) and severities & {Severity.BAD, Severity.WARNING}:
        return Severity.WARNING
    return own


def _single(program: Program, process: ProcessState) -> dict[str, Any]:
    return {
        "pid": process.get("pid"),
        "last_run": runs.last_run(process),
        **runs.process_times(process),
        **statuses.restarts(process),
        "findings": findings(program, process),
    }


def _instances(program: Program, state: ProgramState | None, may_operate: bool) -> dict[str, Any]:
    number = len(statuses.list_instances(program, state))
    is_brief = number <= instances.MOST_ROWS_AT_ONCE
    return {
        "grid": instances.grid(program, state, may_operate=may_operate),
        "number": number,
        "instances": instances.rows(program, state, may_operate=may_operate) if is_brief else None,
        "may_operate": may_operate,
    }


def _usage(program: Program, state: ProgramState | None) -> dict[str, Any] | None:
    """Return the CPU and the memory that all processes of a program use together."""
    measured = stats.measure({program.group: state}).values() if state else ()
    if not measured:
        return None
    return {
        "cpu_percent": round(sum(each["cpu_percent"] for each in measured), 1),
        "memory_bytes": sum(each["memory_rss_bytes"] for each in measured),
        "processes": sum(each["process_count"] for each in measured),
    }


# The configuration as it runs


def _notes(program: Program, state: ProgramState | None, processes: list[ProcessState]) -> list[str]:
    """Return in which respects what runs is not what is saved, as sentences."""
    notes = []
    if state and state["changing"]:
        notes.append("A change is being applied: what runs is being stopped, as it was configured before.")
    elif state and _differs(program, state):
        notes.append(
            "supervisord has another configuration than the one that is saved here; "
            "it is corrected within two minutes."
        )
    outdated = sorted({name for process in processes for name in process.get("outdated", ())})
    if outdated:
        names = ", ".join(outdated)
        notes.append(f"Changed since it was started, and in use from its next start on: {names}.")
    notes += [
        f"The file of variables {file} has changed since it was started; a restart has it read again."
        for file in _changed_files(program, processes)
    ]
    return notes


def _differs(program: Program, state: ProgramState) -> bool:
    try:
        text = program.specification().render()
    except (*preflight.INVALID_ROW_ERRORS, ValidationError):
        return False  # the preflight check says what is wrong
    return state["digest"] not in ("", digest_of(text.encode()))


def _changed_files(program: Program, processes: list[ProcessState]) -> list[str]:
    """Return the files of variables that are newer than the oldest run, as far as that may be told."""
    started = [process["started_at"] for process in processes if process.get("pid")]
    paths = [file.removeprefix("-") for file in program.env_files] if started else []
    return [path for path in paths if rules.may_see(program.user, path) and _changed_at(path) > min(started)]


def _changed_at(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0
