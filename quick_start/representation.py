"""Temporary programs as JSON: in the API and in ``ephemeral.json`` (docs/contract.md, sections 6 and 7)."""

from typing import Any

from daemon_programs import timestamps
from daemon_programs.models.fields import TEMPORARY_FIELDS
from daemon_programs.programs.observed import statuses
from daemon_programs.serializers.representation import field_values
from daemon_programs.supervisor.states import ProgramState
from quick_start.models import EphemeralProgram


def identity(record: EphemeralProgram) -> dict[str, Any]:
    """Return the keys that identify the program in every response."""
    return {"temporary_id": record.temporary_id, "name": record.name}


def times(record: EphemeralProgram) -> dict[str, Any]:
    """Return ``created_at``, and with a time to live ``expires_at``."""
    document = {"created_at": timestamps.iso(record.created_at.timestamp())}
    if record.expires_at:
        # Add the time to live to whole seconds, so that it is the difference of the two times as shown.
        document["expires_at"] = timestamps.iso(int(record.created_at.timestamp()) + (record.ttl or 0))
    return document


def live_document(record: EphemeralProgram, state: ProgramState | None) -> dict[str, Any]:
    """Return the fields that a launch and ``status`` respond with."""
    if record.ended_at is not None:
        shown: dict[str, Any] = {"status": record.final_status}
    else:
        process = statuses.process_state(state, record.group)
        shown = {**statuses.live_fields(process), **statuses.restarts(process)}
    document = {**identity(record), **shown, **times(record)}
    if record.display:
        document["display"] = record.display
    if record.attach_command and "pid" in document:
        document["attach"] = record.attach_command
    if record.ended_at is not None:
        document["last_run"] = last_run(record)
    elif shown["status"] in ("exited", "fatal"):
        # The program has ended and is being cleaned up: its last run is shown already.
        document |= {"last_run": ended} if (ended := statuses.last_run(process)) else {}
    return document


def last_run(record: EphemeralProgram) -> dict[str, Any]:
    """Return how a recorded program ended."""
    return {
        "exit_code": record.exit_code,
        "signal": record.signal or None,
        "error": record.error or None,
        "ended_at": record.ended_at and timestamps.iso(record.ended_at.timestamp()),
    }


def listed_document(record: EphemeralProgram, state: ProgramState) -> dict[str, Any]:
    """Return the program as an object of the list."""
    live = statuses.live_fields(statuses.process_state(state, record.group))
    return {**_launched(record), **live, **times(record)}


def file_document(record: EphemeralProgram) -> dict[str, Any]:
    """Return the program as an object of ``ephemeral.json``: its configuration, without live fields."""
    document: dict[str, Any] = {
        **_launched(record),
        **times(record),
        "ttl": record.ttl,
        **field_values(record, TEMPORARY_FIELDS),
    }
    return {key: value for key, value in document.items() if value is not None}


def _launched(record: EphemeralProgram) -> dict[str, Any]:
    return {**identity(record), "command": record.command, "user": record.user}
