"""From supervisord's states to the contract's statuses (section 4). Pure: no calls are made here."""

import time
from typing import Any

from daemon_programs.models import Program
from daemon_programs.supervisor.states import Outcome, ProcessState, ProgramState
from daemon_programs.timestamps import iso, uptime

STATUSES = ("running", "stopped", "starting", "stopping", "backoff", "exited", "fatal", "unknown")
ACTIVE = frozenset({"running", "starting", "backoff"})  # what a start would find running already


def process_name(program: Program, port: int | None) -> str:
    """Supervisord's name of the process, or of one instance, within the program's group."""
    return program.group if port is None else str(port)


def process_state(state: ProgramState | None, name: str) -> ProcessState:
    """One process of a program's state; what supervisord has nothing to tell of is stopped."""
    absent: ProcessState = {"state": "stopped"}
    return _processes(state).get(name, absent)


def status_of(process: ProcessState) -> str:
    """The one word. A start that is queued is a start."""
    if process.get("queued") and process["state"] != "stopping":
        return "starting"
    return process["state"]


def live_fields(process: ProcessState) -> dict[str, Any]:
    """``status``, and while a process lives ``pid`` and ``uptime``."""
    fields: dict[str, Any] = {"status": status_of(process)}
    if process.get("pid"):
        fields["pid"] = process["pid"]
        fields["uptime"] = uptime(time.time() - process["started_at"])
    return fields


def program_status(program: Program, state: ProgramState | None) -> dict[str, Any]:
    """``ProgramStatus``: of a port range it is ``running`` while any instance is (``GET status``)."""
    if not program.has_ports:
        return {"id": program.pk, **live_fields(_own_process(program, state))}
    words = {status_of(process) for process in _processes(state).values()}
    for word in ("running", "starting", "backoff", "stopping"):
        if word in words:
            return {"id": program.pk, "status": word}
    return {"id": program.pk, "status": _absent(program, state) or "stopped"}


def listed_status(program: Program, state: ProgramState | None) -> dict[str, Any]:
    """The ``status`` of a program in ``GET programs``: a port range lists its instances."""
    if not program.has_ports:
        return program_status(program, state)
    instances = list_instances(program, state)
    return {
        "type": "port-range",
        "running_instances": count_running(instances),
        "total_instances": len(program.ports),
        "instances": instances,
    }


def list_instances(program: Program, state: ProgramState | None) -> list[dict[str, Any]]:
    """The instances of a port range that are not stopped, by port.

    Until an edit is carried out supervisord may still tell of the ordinary program that it was before.
    """
    ports = {int(name): process for name, process in _processes(state).items() if name.isdigit()}
    instances = (instance(program, port, process) for port, process in ports.items())
    return sorted((each for each in instances if each["status"] != "stopped"), key=lambda each: each["port"])


def instance(program: Program, port: int, process: ProcessState) -> dict[str, Any]:
    """``ProgramInstance``."""
    return {"port": port, "instance_name": program.instance_name(port), **live_fields(process)}


def count_running(instances: list[dict[str, Any]]) -> int:
    return sum(each["status"] == "running" for each in instances)


def last_run(process: ProcessState) -> dict[str, Any] | None:
    """How the last run ended; None if it did not, or only because somebody stopped it."""
    ended = process.get("last_run")
    if not ended or ended["requested"]:
        return None
    return {
        "exit_code": ended["exit_code"],
        "signal": ended["signal"],
        "error": ended["error"],
        "ended_at": iso(ended["ended_at"]),
    }


def why_it_ended(ended: Outcome | None) -> str:
    """How the last run ended, as the end of a sentence."""
    if ended and ended["error"]:
        return ended["error"]
    if ended and ended["signal"]:
        return f"it was ended by {ended['signal']}"
    return f"it ended with exit code {ended and ended['exit_code']}"


def _processes(state: ProgramState | None) -> dict[str, ProcessState]:
    return state["processes"] if state else {}


def _own_process(program: Program, state: ProgramState | None) -> ProcessState:
    if word := _absent(program, state):
        return {"state": word}
    return process_state(state, program.group)


def _absent(program: Program, state: ProgramState | None) -> str | None:
    """An enabled program that supervisord doesn't have is out of line until it is reconciled."""
    return "unknown" if program.enabled and state is None else None
