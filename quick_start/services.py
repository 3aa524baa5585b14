"""Launch, look at and stop temporary programs: one function a verb (contract, section 6)."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from daemon_programs.exceptions import ChangeNotTaken, DaemonError, Refused
from daemon_programs.logs.tail import tail
from daemon_programs.programs import statuses, waiting
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.transactions import write_transaction
from quick_start import lifecycle
from quick_start.exceptions import EphemeralProgramNotFound
from quick_start.models import EphemeralProgram
from quick_start.representation import live_document

EXIT = "exit"  # of the values of ``wait``: until it has ended
_LINES_AFTER_EXIT = 100


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
    with ExitStack() as held:
        with write_transaction():
            record = EphemeralProgram(**values)
            record.identify()
            record.full_clean()
            # Taken before anything runs: whoever finds no room to wait has launched nothing.
            watch = held.enter_context(waiting.room_to_wait(record.group, bool(wait)))
            record.save(force_insert=True)
        if watch is None:
            return {**live_document(record, None), "status": "starting"}
        state = _wait(watch, record, wait, timeout)
    record = _finished_if_over(record, state)
    return {**live_document(record, state), **(_printed(record) if wait == EXIT else {})}


def status_of(temporary_id: str) -> dict[str, Any]:
    """Its status now, or how it ended."""
    record = get_record(temporary_id)
    state = None
    if record.ended_at is None:
        state = supervisor.state(record.group)
        # It may be over already: the event that says so is on its way, or has just been dealt with.
        record = _finished_if_over(record, state)
    return live_document(record, state)


def stop(temporary_id: str) -> None:
    """Stop it, and clean up; one that has ended is cleaned up already."""
    record = get_record(temporary_id)
    if record.ended_at is None:
        lifecycle.finish(record, _stop_processes(record))
    lifecycle.forget(record.group)  # whoever has completed the record may not have come to it yet


def purge(temporary_id: str) -> None:
    """Remove the record of one that has ended, and the logs in its own folder, before their time."""
    record = EphemeralProgram.objects.filter(temporary_id=temporary_id).first()
    if record is None:
        raise EphemeralProgramNotFound(temporary_id)
    if record.ended_at is None:
        raise Refused(f"Ephemeral program {temporary_id} has not ended: stop it first")
    lifecycle.purge(record)


def _stop_processes(record: EphemeralProgram) -> ProgramState | None:
    """Stop the whole tree, and wait for the last of it; the state after that."""
    try:
        supervisor.stop(record.group)
    except ChangeNotTaken:
        if supervisor.state(record.group) is not None:
            raise
        return None  # it has just ended by itself
    waiting.wait_until_ended(
        record, None, otherwise=f"Ephemeral program {record.temporary_id} is still being stopped"
    )
    return supervisor.state(record.group)


def _wait(watch: Watch, record: EphemeralProgram, wait: bool | str, timeout: int) -> ProgramState | None:
    """Wait for what was asked for; whatever goes wrong, the client learns the id of what was launched."""

    def done(state: ProgramState | None) -> bool:
        runs = statuses.process_state(state, record.group)["state"] == "running"
        return lifecycle.is_over(state) or (runs and wait != EXIT)

    wanted = "finished" if wait == EXIT else "running"
    sentence = f"Ephemeral program {record.temporary_id} is not {wanted} after {timeout} seconds"
    try:
        return waiting.watch_until(watch, record.group, done, timeout=timeout, otherwise=sentence)
    except DaemonError as problem:
        problem.extra["temporary_id"] = record.temporary_id
        raise


def _finished_if_over(record: EphemeralProgram, state: ProgramState | None) -> EphemeralProgram:
    return lifecycle.finish(record, state) if lifecycle.is_over(state) else record


def _printed(record: EphemeralProgram) -> dict[str, Any]:
    """How long it took, and the ends of what it has printed."""
    ended_at = record.ended_at or datetime.now(UTC)
    printed = {
        stream: "\n".join(tail(record.log_path(stream), _LINES_AFTER_EXIT, record.user))
        for stream in ("stdout", "stderr")
    }
    return {"duration_seconds": round((ended_at - record.created_at).total_seconds(), 3), **printed}
