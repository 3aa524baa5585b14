"""Launch, look at and stop temporary programs: one function a verb (contract, section 6)."""

from datetime import UTC, datetime
from typing import Any

from daemon_programs import runtime, statuses
from daemon_programs.exceptions import ProgramNotFound, WaitTimedOut
from daemon_programs.gateway import supervisor
from daemon_programs.logs import tail
from daemon_programs.supervisor.client import State
from daemon_programs.transactions import write_transaction
from quick_start import lifecycle
from quick_start.documents import live_document
from quick_start.models import EphemeralProgram

EXIT = "exit"  # of the values of ``wait``: until it has ended
_LINES_AFTER_EXIT = 100


class EphemeralProgramNotFound(ProgramNotFound):
    def __init__(self, temporary_id: str) -> None:
        Exception.__init__(self, f"Ephemeral program with ID {temporary_id} not found")
        self.extra = {}


def get_record(temporary_id: str) -> EphemeralProgram:
    """A live record, or one that ended within the retention time."""
    record = EphemeralProgram.objects.readable().filter(temporary_id=temporary_id).first()
    if record is None:
        raise EphemeralProgramNotFound(temporary_id)
    return record


def launch(values: dict[str, Any], *, wait: bool | str = False, timeout: int = 30) -> dict[str, Any]:
    """Run a temporary program; the answer's fields beside ``success``.

    With ``wait`` it answers when the program runs or has ended, with ``"exit"`` when it has ended.
    """
    with write_transaction():
        record = EphemeralProgram(**values)
        record.identify()
        record.full_clean()
        record.save(force_insert=True)
    if wait == EXIT:
        return _wait_for_exit(record, timeout)
    if wait:
        return _wait_for_start(record, timeout)
    return {**live_document(record, None), "status": "starting"}


def status_of(temporary_id: str) -> dict[str, Any]:
    """Its status now, or how it ended."""
    record = get_record(temporary_id)
    if record.ended_at is None:
        state = supervisor.state(record.group)
        if state is None or lifecycle.is_over(record.group, state):
            # Over already: the event that says so is on its way, or has just been dealt with.
            record = lifecycle.finish(record, state)
        return live_document(record, state)
    return live_document(record, None)


def stop(temporary_id: str) -> None:
    """Stop it, and clean up; one that has ended is cleaned up already."""
    record = get_record(temporary_id)
    if record.ended_at is not None:
        return
    if supervisor.state(record.group) is not None:
        supervisor.stop(record.group)
        runtime.wait_until_ended(
            record.group, None, otherwise=f"Ephemeral program {temporary_id} is still being stopped"
        )
    lifecycle.finish(record, supervisor.state(record.group))
    runtime.wait_until_gone(record.group, otherwise=f"Ephemeral program {temporary_id} is still ending")


def _wait_for_start(record: EphemeralProgram, timeout: int) -> dict[str, Any]:
    def started(state: State | None) -> bool:
        return (
            state is None
            or lifecycle.is_over(record.group, state)
            or statuses.process_state(state, record.group)["state"] == "running"
        )

    return _answer(record, _wait(record, started, timeout, "running"))


def _wait_for_exit(record: EphemeralProgram, timeout: int) -> dict[str, Any]:
    def ended(state: State | None) -> bool:
        return state is None or lifecycle.is_over(record.group, state)

    answer = _answer(record, _wait(record, ended, timeout, "finished"))
    record.refresh_from_db()
    ended_at = record.ended_at or datetime.now(UTC)
    return {
        **answer,
        "duration_seconds": round((ended_at - record.created_at).total_seconds(), 3),
        "stdout": "\n".join(tail(record.log_path("stdout"), _LINES_AFTER_EXIT)),
        "stderr": "\n".join(tail(record.log_path("stderr"), _LINES_AFTER_EXIT)),
    }


def _wait(record: EphemeralProgram, done: Any, timeout: int, wanted: str) -> State | None:
    try:
        return runtime.wait_until(record.group, done, timeout=timeout, otherwise="")
    except WaitTimedOut as problem:
        raise WaitTimedOut(
            f"Ephemeral program {record.temporary_id} is not {wanted} after {timeout} seconds",
            temporary_id=record.temporary_id,
        ) from problem


def _answer(record: EphemeralProgram, state: State | None) -> dict[str, Any]:
    """What there is to tell after a wait; a program that is over is cleaned up before."""
    if state is None:
        record.refresh_from_db()
    if record.ended_at is None and (state is None or lifecycle.is_over(record.group, state)):
        record = lifecycle.finish(record, state)
    return live_document(record, state)
