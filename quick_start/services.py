"""Launch, query, stop and purge temporary programs (docs/contract.md, section 6)."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from daemon_programs.exceptions import ChangeNotTaken, DaemonError, Refused
from daemon_programs.logs.tail import MAX_JSON_BYTES, tail
from daemon_programs.programs import standard_input, waiting
from daemon_programs.programs.filters import has_text
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.changes import Watch
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.transactions import write_transaction
from quick_start import lifecycle
from quick_start.exceptions import EphemeralProgramNotFound
from quick_start.models import EphemeralProgram
from quick_start.representation import listed_document, live_document

EXIT = "exit"  # the value of ``wait`` that waits until the program has ended
_LINES_AFTER_EXIT = 100


def get_record(temporary_id: str) -> EphemeralProgram:
    """Return a live record or one that ended within the retention time; raise EphemeralProgramNotFound."""
    return _found(EphemeralProgram.objects.readable(), temporary_id)


def _found(records: QuerySet[EphemeralProgram], temporary_id: str) -> EphemeralProgram:
    # PostgreSQL refuses to look for a text with such a character.
    record = None if "\0" in temporary_id else records.filter(temporary_id=temporary_id).first()
    if record is None:
        raise EphemeralProgramNotFound(temporary_id)
    return record


class Listed(NamedTuple):
    """A temporary program, and how the list shows it."""

    record: EphemeralProgram
    document: dict[str, Any]


def list_live(filters: dict[str, Any]) -> list[Listed]:
    """Return the programs that run or await clean-up and match all of the given filters."""
    records = list(EphemeralProgram.objects.live())
    states = waiting.states()  # lacks programs that have ended since the query
    listed = [
        Listed(record, listed_document(record, states[record.group]))
        for record in records
        if record.group in states and _matches(record, filters)
    ]
    wanted = filters.get("status", statuses.STATUSES)
    return [each for each in listed if each.document["status"] in wanted]


def _matches(record: EphemeralProgram, filters: dict[str, Any]) -> bool:
    if "q" in filters and not has_text(record, filters["q"], ("name", "command")):
        return False
    return bool(filters.get("user", record.user) == record.user)


def launch(values: dict[str, Any], *, wait: bool | str = False, timeout: int = 30) -> dict[str, Any]:
    """Run a temporary program, and return the fields of the response without ``success``.

    With ``wait`` the call returns once the program is running or has ended; with ``"exit"``, once it has
    ended. Raise WaitTimedOut after ``timeout`` seconds.
    """
    with ExitStack() as held:
        with write_transaction():
            record = EphemeralProgram(**values)
            record.assign_identity()
            record.full_clean()
            # Reserve the wait first: if too many requests wait already, nothing is launched.
            watch = held.enter_context(waiting.reserve_watch(record.group, bool(wait)))
            record.save(force_insert=True)
        if watch is None:
            return {**live_document(record, None), "status": "starting"}
        state = _wait(watch, record, wait, timeout)
    record = _finished_if_over(record, state)
    return {**live_document(record, state), **(_output(record) if wait == EXIT else {})}


def status_of(temporary_id: str) -> dict[str, Any]:
    """Return the program's status, or how it ended, as fields of the response."""
    record = get_record(temporary_id)
    state = None
    if record.ended_at is None:
        state = supervisor.state(record.group)
        # The program may have ended already, before its event has been handled.
        if lifecycle.is_over(state):
            record = lifecycle.completed(record, state)
    return live_document(record, state)


def stop(temporary_id: str) -> None:
    """Stop a program and clean up; do nothing for one that has ended."""
    record = get_record(temporary_id)
    if record.ended_at is None:
        lifecycle.finish(record, _stop_processes(record))
    lifecycle.forget(record.group)  # the process that completed the record may not have done this yet


def write_input(temporary_id: str, *, text: str, close: bool) -> None:
    """Write a text to a program's standard input, and with ``close`` end it: see `standard_input.write`."""
    record = get_record(temporary_id)
    label = f"Ephemeral program {temporary_id}"
    standard_input.write(record.group, record.group, label, text=text, close=close)


def purge(temporary_id: str) -> None:
    """Remove the record and the logs of a program that has ended, before the retention time is over.

    Raise EphemeralProgramNotFound, or Refused if the program has not ended.
    """
    record = _found(EphemeralProgram.objects.all(), temporary_id)
    if record.ended_at is None:
        raise Refused(f"Ephemeral program {temporary_id} has not ended: stop it first")
    lifecycle.purge(record)


def _stop_processes(record: EphemeralProgram) -> ProgramState | None:
    """Stop the whole process tree, wait until it has ended, and return the state after that."""
    try:
        supervisor.stop(record.group)
    except ChangeNotTaken:
        if supervisor.state(record.group) is not None:
            raise
        return None  # it has ended by itself meanwhile
    waiting.wait_until_ended(
        record, None, timeout_message=f"Ephemeral program {record.temporary_id} is still being stopped"
    )
    return supervisor.state(record.group)


def _wait(watch: Watch, record: EphemeralProgram, wait: bool | str, timeout: int) -> ProgramState | None:
    """Wait as requested. Errors carry the program's id, so that the client learns what was launched."""

    def done(state: ProgramState | None) -> bool:
        runs = statuses.process_state(state, record.group)["state"] == "running"
        return lifecycle.is_over(state) or (runs and wait != EXIT)

    wanted = "finished" if wait == EXIT else "running"
    sentence = f"Ephemeral program {record.temporary_id} is not {wanted} after {timeout} seconds"
    try:
        return waiting.watch_until(watch, record.group, done, timeout=timeout, timeout_message=sentence)
    except DaemonError as problem:
        problem.extra["temporary_id"] = record.temporary_id
        raise


def _finished_if_over(record: EphemeralProgram, state: ProgramState | None) -> EphemeralProgram:
    return lifecycle.finish(record, state) if lifecycle.is_over(state) else record


def _output(record: EphemeralProgram) -> dict[str, Any]:
    """Return the duration in seconds, and the last 100 lines of each log."""
    ended_at = record.ended_at or datetime.now(UTC)
    tails = {
        stream: tail(record.log_path(stream), _LINES_AFTER_EXIT, record.user, MAX_JSON_BYTES // 2)
        for stream in ("stdout", "stderr")
    }
    return {
        "duration_seconds": round((ended_at - record.created_at).total_seconds(), 3),
        **{stream: "\n".join(found.lines) for stream, found in tails.items()},
        **({"truncated": True} if any(found.is_truncated for found in tails.values()) else {}),
    }
