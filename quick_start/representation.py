"""A temporary program as JSON: the objects of the API and of ``ephemeral.json`` (contract, 6 and 7)."""

from typing import Any

from daemon_programs import timestamps
from daemon_programs.models.fields import TEMPORARY_FIELDS
from daemon_programs.programs import statuses
from daemon_programs.serializers.representation import field_values
from daemon_programs.supervisor.states import ProgramState
from quick_start.models import EphemeralProgram


def identity(record: EphemeralProgram) -> dict[str, Any]:
    """What names it, in every answer."""
    return {"temporary_id": record.temporary_id, "name": record.name}


def times(record: EphemeralProgram) -> dict[str, Any]:
    document = {"created_at": timestamps.iso(record.created_at.timestamp())}
    if record.expires_at:
        # Of the second that is shown as the first, so that the difference is the time to live.
        document["expires_at"] = timestamps.iso(int(record.created_at.timestamp()) + (record.ttl or 0))
    return document


def live_document(record: EphemeralProgram, state: ProgramState | None) -> dict[str, Any]:
    """The answer of a launch and of ``status``."""
    if record.ended_at is not None:
        shown: dict[str, Any] = {"status": record.final_status}
    else:
        shown = statuses.live_fields(statuses.process_state(state, record.group))
    document = {**identity(record), **shown, **times(record)}
    if record.display:
        document["display"] = record.display
    if record.attach_command and "pid" in document:
        document["attach"] = record.attach_command
    if record.ended_at is not None:
        document["last_run"] = last_run(record)
    elif shown["status"] in ("exited", "fatal"):
        # It has ended, and what it has left behind is being ended: that is told already.
        process = statuses.process_state(state, record.group)
        document |= {"last_run": ended} if (ended := statuses.last_run(process)) else {}
    return document


def last_run(record: EphemeralProgram) -> dict[str, Any]:
    """How it ended, once the record says so."""
    return {
        "exit_code": record.exit_code,
        "signal": record.signal or None,
        "error": record.error or None,
        "ended_at": record.ended_at and timestamps.iso(record.ended_at.timestamp()),
    }


def listed_document(record: EphemeralProgram, state: ProgramState) -> dict[str, Any]:
    """The object of the list."""
    live = statuses.live_fields(statuses.process_state(state, record.group))
    return {**_launched(record), **live, **times(record)}


def file_document(record: EphemeralProgram) -> dict[str, Any]:
    """The object of ``ephemeral.json``: without live fields, with its configuration."""
    document: dict[str, Any] = {
        **_launched(record),
        **times(record),
        "ttl": record.ttl,
        **field_values(record, TEMPORARY_FIELDS),
    }
    return {key: value for key, value in document.items() if value is not None}


def _launched(record: EphemeralProgram) -> dict[str, Any]:
    return {**identity(record), "command": record.command, "user": record.user}
