"""Convert supervisord's states to the contract's statuses (docs/contract.md, section 4).

The functions are pure: they make no calls.
"""

import math
import time
from collections.abc import Container
from typing import Any

from daemon_programs.models import Program
from daemon_programs.supervisor.instances import KINDS, Key, key_of
from daemon_programs.supervisor.states import Outcome, ProcessState, ProgramState
from daemon_programs.timestamps import iso, uptime

STATUSES = ("running", "stopped", "starting", "stopping", "backoff", "exited", "fatal", "unknown")
ACTIVE = frozenset({"running", "starting"})  # what a start would find running already


def process_state(state: ProgramState | None, name: str) -> ProcessState:
    """Return the state of one process; one that supervisord does not report is stopped."""
    absent: ProcessState = {"state": "stopped"}
    return _processes(state).get(name, absent)


def status_of(process: ProcessState) -> str:
    """Return the status of a process; a queued start counts as ``starting``."""
    if process.get("queued") and process["state"] != "stopping":
        return "starting"
    return process["state"]


def processes_with(state: ProgramState | None, words: Container[str]) -> list[str]:
    """Return the names of the processes whose status is one of some words."""
    return [name for name, process in _processes(state).items() if status_of(process) in words]


def live_fields(process: ProcessState) -> dict[str, Any]:
    """Return ``status``, and while the process is alive ``pid`` and ``uptime``."""
    fields: dict[str, Any] = {"status": status_of(process)}
    if process.get("pid"):
        fields["pid"] = process["pid"]
        fields["uptime"] = uptime(process.get("uptime", time.time() - process["started_at"]))
    return fields


def program_status(program: Program, state: ProgramState | None) -> dict[str, Any]:
    """Return the ``ProgramStatus`` for ``GET status``.

    A program with instances is ``running`` while any of them is, and ``fatal`` if all of them are.
    """
    if program.keys is None:
        return {"id": program.pk, **live_fields(_own_process(program, state))}
    words = [status_of(process) for process in _processes(state).values()]
    for word in ("running", "starting", "backoff", "stopping"):
        if word in words:
            return {"id": program.pk, "status": word}
    if words.count("fatal") == len(program.keys):  # those that have never run are not reported
        return {"id": program.pk, "status": "fatal"}
    return {"id": program.pk, "status": _status_if_missing(program, state) or "stopped"}


def listed_status(program: Program, state: ProgramState | None) -> dict[str, Any]:
    """Return the ``status`` of a program in ``GET programs``, with its instances if it has several."""
    keys = program.keys
    if keys is None:
        return program_status(program, state)
    instances = list_instances(program, state)
    return {
        "type": keys.kind.programs,
        "running_instances": count_running(instances),
        "total_instances": len(keys),
        "instances": instances,
    }


def list_instances(program: Program, state: ProgramState | None) -> list[dict[str, Any]]:
    """Return the instances of a program that are not stopped, sorted by key.

    While an edit that changes its kind of keys is applied, supervisord may still report the former processes.
    They are left out.
    """
    keys = program.keys
    if keys is None:
        return []
    found = [(key, process) for name, process in _processes(state).items() if (key := key_of(name))]
    found.sort(key=lambda pair: pair[0].value)
    instances = (instance(program, key, process) for key, process in found if key.kind is keys.kind)
    return [each for each in instances if each["status"] != "stopped"]


def key_in(instance: dict[str, Any]) -> Key:
    """Return the key that a ``ProgramInstance`` has."""
    return next(Key(kind, instance[kind.name]) for kind in KINDS if kind.name in instance)


def instance(program: Program, key: Key, process: ProcessState) -> dict[str, Any]:
    """Return a ``ProgramInstance``."""
    return {key.kind.name: key.value, "instance_name": program.instance_name(key), **live_fields(process)}


def count_running(instances: list[dict[str, Any]]) -> int:
    """Return how many of the instances are running."""
    return sum(each["status"] == "running" for each in instances)


def last_run(process: ProcessState) -> dict[str, Any] | None:
    """Return the contract's ``last_run``; None if no run has ended, or if it was stopped on request."""
    ended = process.get("last_run")
    if not ended or ended["requested"]:
        return None
    return {
        "exit_code": ended["exit_code"],
        "signal": ended["signal"],
        "error": ended["error"],
        "ended_at": iso(ended["ended_at"]),
        **({"reason": ended["reason"]} if "reason" in ended else {}),
    }


def restarts(process: ProcessState) -> dict[str, Any]:
    """Return what is known of restarts that were not requested. The time is not before the next start."""
    fields: dict[str, Any] = {
        key: process[key] for key in ("restarts", "restarts_since_stable") if key in process
    }
    if status_of(process) == "backoff" and "next_start_at" in process:
        fields["next_start_at"] = iso(math.ceil(process["next_start_at"]))
    return fields


def describe_outcome(outcome: Outcome | None) -> str:
    """Return how a run ended, as the last part of a sentence."""
    if outcome and outcome["error"]:
        return outcome["error"]
    if outcome and outcome["signal"]:
        return f"it was ended by {outcome['signal']}"
    return f"it ended with exit code {outcome and outcome['exit_code']}"


def _processes(state: ProgramState | None) -> dict[str, ProcessState]:
    return state["processes"] if state else {}


def _own_process(program: Program, state: ProgramState | None) -> ProcessState:
    if word := _status_if_missing(program, state):
        return {"state": word}
    return process_state(state, program.group)


def _status_if_missing(program: Program, state: ProgramState | None) -> str | None:
    """Return ``unknown`` for an enabled program that supervisord does not have: reconciliation is needed."""
    return "unknown" if program.enabled and state is None else None
