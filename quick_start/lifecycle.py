"""End temporary programs: complete their records and remove everything else of them.

The event listener, requests, the queue and the stack's start call these functions, possibly at the same time
and for the same program. The first call does the work, and the others change nothing.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from daemon_programs.exceptions import DaemonError
from daemon_programs.files import remove
from daemon_programs.maintenance.reconcile import Difference, check_mirror, correct
from daemon_programs.models import Program
from daemon_programs.programs import registration
from daemon_programs.programs.observed import statuses
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.transactions import write_transaction
from quick_start import mirror
from quick_start.exceptions import EphemeralProgramNotFound
from quick_start.models import PREFIX, EphemeralProgram

LOST = "daemon restarted before the program finished"
# The `error` of a program that was stopped without a request, by the plugin's `cut_short`.
_CUT_SHORT_ERRORS = {
    "ttl": "stopped at the end of its time to live",
    "memory": "stopped because it used more memory than memory_limit_bytes",
    "shutdown": LOST,
}


def is_over(state: ProgramState | None) -> bool:
    """Return whether a temporary program has ended for good; None means that supervisord does not know it."""
    return state is None or bool(state.get("over"))


def finish(record: EphemeralProgram, state: ProgramState | None) -> EphemeralProgram:
    """Record how a program ended, have supervisord forget it, and return the current record.

    ``state`` is None if supervisord does not know the program any more; it is then recorded as lost. Raise
    EphemeralProgramNotFound if the record has been purged.
    """
    with write_transaction():
        current = EphemeralProgram.objects.filter(pk=record.pk).first()
        if current is None:
            raise EphemeralProgramNotFound(record.temporary_id)
        if current.ended_at is None:
            for name, value in _outcome(current, state).items():
                setattr(current, name, value)
            current.save()
            # Not before the record is saved: afterwards supervisord can't say how the program ended.
            transaction.on_commit(partial(forget, current.group), robust=True)
    return current


def completed(record: EphemeralProgram, state: ProgramState | None) -> EphemeralProgram:
    """Return the current record with what `finish` will record, but write nothing.

    A read must not wait for those who write. The event listener or reconciliation completes the record.
    """
    current = EphemeralProgram.objects.filter(pk=record.pk).first()
    if current is None:
        raise EphemeralProgramNotFound(record.temporary_id)
    if current.ended_at is None:
        for name, value in _outcome(current, state).items():
            setattr(current, name, value)
    return current


def finish_group(group: str, state: ProgramState) -> None:
    """Complete the record of a program that the event listener reports as ended."""
    with write_transaction():  # waits for a launch that has not saved its record yet
        record = EphemeralProgram.objects.live().filter(temporary_id=group).first()
        if record is not None:
            finish(record, state)
            return
    forget(group)  # the process that completed the record may have been killed before it did this


def forget(group: str) -> None:
    """Remove a program's configuration, and have supervisord stop and forget it.

    This is never rolled back, since a restored temporary program would run a second time. If supervisord
    can't be reached, reconciliation removes the program later.
    """
    remove(registration.file_of(group))
    with suppress(DaemonError):
        supervisor.remove(group)


def reconcile(*, dry_run: bool = False) -> list[Difference]:
    """Repair differences between records, supervisord and configuration files, and return them.

    This completes programs whose end the event listener has missed. A dry run only returns the differences.
    """
    # Read the records first: a program that is launched meanwhile is then in supervisord's list alone, and is
    # not taken for one that has ended.
    records = list(EphemeralProgram.objects.live())
    states = {
        group: state for group, state in supervisor.states()["programs"].items() if group.startswith(PREFIX)
    }
    found = correct(_ended_unnoticed(records, states), dry_run=dry_run)
    with write_transaction():  # no program can be launched meanwhile
        wanted = set(EphemeralProgram.objects.live().values_list("temporary_id", flat=True))
        found += correct(_groups_without_record({*states, *_configured()} - wanted), dry_run=dry_run)
    return [*found, *correct(check_mirror(mirror.ephemeral), dry_run=dry_run)]


def _ended_unnoticed(
    records: list[EphemeralProgram], states: dict[str, ProgramState]
) -> Iterator[Difference]:
    for record in records:
        state = states.get(record.group)
        if is_over(state):
            complete = partial(finish, record, state)
            yield Difference(f"{record.group} has ended unnoticed", "recorded as ended", complete)


def _groups_without_record(groups: set[str]) -> Iterator[Difference]:
    for group in sorted(groups):
        yield Difference(f"{group} is still there after its end", "removed", partial(_remove, group))


def _configured() -> set[str]:
    return {file.stem for file in Path(settings.PROGRAMS_FOLDER).glob(f"{PREFIX}*.json")}


def _remove(group: str) -> None:
    _remove_logs_without_record(group)
    forget(group)


def recover() -> list[Difference]:
    """Complete and clean up all live programs at the stack's start, and return the differences.

    They ended with the previous stack.
    """
    # Check the mirror last: completing a record makes it outdated.
    return [*correct(_lost_programs()), *correct(_leftover_files()), *correct(check_mirror(mirror.ephemeral))]


def _lost_programs() -> Iterator[Difference]:
    for record in EphemeralProgram.objects.live():
        complete = partial(finish, record, None)
        yield Difference(f"{record.group} has ended with the stack", "recorded as ended", complete)


def _leftover_files() -> Iterator[Difference]:
    folder = Path(settings.PROGRAMS_FOLDER)
    for file in sorted((*folder.glob(f"{PREFIX}*"), *folder.glob(f".{PREFIX}*"))):
        yield Difference(f"conf.d/{file.name} belongs to no program", "removed", partial(_remove_file, file))


def _remove_file(file: Path) -> None:
    _remove_logs_without_record(file.stem)
    remove(file)


def purge(record: EphemeralProgram) -> None:
    """Remove the record of a program that has ended, and the logs in its own folder."""
    if not Program.objects.filter(name=record.log_name).exists():  # it would log to the same folder
        shutil.rmtree(record.log_folder, ignore_errors=True)
    record.delete()


def purge_outdated() -> int:
    """Remove the records whose retention time is over, and return their number."""
    outdated = list(EphemeralProgram.objects.outdated())
    for record in outdated:
        purge(record)
    return len(outdated)


def _remove_logs_without_record(group: str) -> None:
    """Remove the logs of a launch that failed before its record was saved: no client knows its id."""
    if EphemeralProgram.objects.filter(temporary_id=group).exists():
        return
    with suppress(OSError, ValueError, KeyError, TypeError):  # the file may hold anything
        written = json.loads(registration.file_of(group).read_bytes())
        for stream in ("stdout", "stderr"):
            folder = Path(written[stream] or "/").parent
            if folder.parent == settings.LOGS_DIR and folder.name.endswith(group.removeprefix(PREFIX)):
                shutil.rmtree(folder, ignore_errors=True)


def _outcome(record: EphemeralProgram, state: ProgramState | None) -> dict[str, Any]:
    """Return the fields of the record that say how the program ended."""
    now = datetime.now(UTC)
    if state is None:
        return {"ended_at": now, "final_status": "stopped", "error": LOST}
    process = statuses.process_state(state, record.group)
    ended = process.get("last_run")
    stopped = process["state"] == "stopped"
    # A program stopped while it waited for its start or next attempt ended now, not with its last run.
    ended_with_run = ended if ended and (ended["requested"] or not stopped) else None
    error = ended["error"] if ended else None
    if stopped and not error:
        error = _CUT_SHORT_ERRORS.get(state["cut_short"] or "")
    return {
        "ended_at": datetime.fromtimestamp(ended_with_run["ended_at"], UTC) if ended_with_run else now,
        "final_status": process["state"],
        "exit_code": ended["exit_code"] if ended else None,
        "signal": (ended and ended["signal"]) or "",
        "error": error or "",
    }
