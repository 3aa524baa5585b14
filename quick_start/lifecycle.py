"""The end of temporary programs: their records completed, everything else of them removed.

Everything in here may be called twice, by anybody: the event listener, a request, the queue, the
stack's start. Whoever comes first does it.
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
from daemon_programs.maintenance.reconcile import Difference, mend, of_mirror
from daemon_programs.models import Program
from daemon_programs.programs import registration, statuses
from daemon_programs.supervisor.gateway import supervisor
from daemon_programs.supervisor.states import ProgramState
from daemon_programs.transactions import write_transaction
from quick_start import mirror
from quick_start.exceptions import EphemeralProgramNotFound
from quick_start.models import PREFIX, EphemeralProgram

LOST = "daemon restarted before the program finished"
# Why it was stopped though nobody had asked for it, by the plugin's word.
_CUT_SHORT = {"ttl": "stopped at the end of its time to live", "shutdown": LOST}


def is_over(state: ProgramState | None) -> bool:
    """Whether a temporary program has ended for good: supervisord says so, or has forgotten it."""
    return state is None or bool(state.get("over"))


def finish(record: EphemeralProgram, state: ProgramState | None) -> EphemeralProgram:
    """Complete a record with how its program ended, and have supervisord forget it.

    ``state`` None: nobody knows how it ended, since supervisord has gone with it.
    """
    with write_transaction():
        current = EphemeralProgram.objects.filter(pk=record.pk).first()
        if current is None:
            raise EphemeralProgramNotFound(record.temporary_id)  # it is purged already
        if current.ended_at is None:
            for name, value in _outcome(current, state).items():
                setattr(current, name, value)
            current.save()
            # Only now: what supervisord has forgotten is known from the record alone.
            transaction.on_commit(partial(forget, current.group), robust=True)
    return current


def finish_group(group: str, state: ProgramState) -> None:
    """The event listener's word that a temporary program is over."""
    with write_transaction():  # its launch may still be about to be recorded: that comes first
        record = EphemeralProgram.objects.live().filter(temporary_id=group).first()
        if record is not None:
            finish(record, state)


def forget(group: str) -> None:
    """Remove a program's configuration, and have supervisord stop and forget it.

    Never undone: a temporary program that was put back would run a second time. What can't be
    removed now is what reconciliation finds.
    """
    registration.file_of(group).unlink(missing_ok=True)
    with suppress(DaemonError):
        supervisor.remove(group)


def reconcile(*, dry_run: bool = False) -> list[Difference]:
    """Mend what is out of line between records, supervisord and configuration; returns what that was.

    The safety net under the events: it completes what they have missed.
    """
    # In this order: what is launched in between is in neither, or in supervisord alone.
    records = list(EphemeralProgram.objects.live())
    states = {
        group: state for group, state in supervisor.states()["programs"].items() if group.startswith(PREFIX)
    }
    found = mend(_ended_unnoticed(records, states), dry_run=dry_run)
    with write_transaction():  # nothing is being launched meanwhile
        wanted = set(EphemeralProgram.objects.live().values_list("temporary_id", flat=True))
        found += mend(_without_record({*states, *_configured()} - wanted), dry_run=dry_run)
    return [*found, *mend(of_mirror(mirror.ephemeral), dry_run=dry_run)]


def _ended_unnoticed(
    records: list[EphemeralProgram], states: dict[str, ProgramState]
) -> Iterator[Difference]:
    for record in records:
        state = states.get(record.group)
        if is_over(state):
            complete = partial(finish, record, state)
            yield Difference(f"{record.group} has ended unnoticed", "recorded as ended", complete)


def _without_record(groups: set[str]) -> Iterator[Difference]:
    for group in sorted(groups):
        yield Difference(f"{group} is still there after its end", "removed", partial(_remove, group))


def _configured() -> set[str]:
    return {file.stem for file in Path(settings.PROGRAMS_FOLDER).glob(f"{PREFIX}*.json")}


def _remove(group: str) -> None:
    _remove_logs_without_record(group)
    forget(group)


def recover() -> list[Difference]:
    """At the stack's start, when nothing runs yet: what was live has ended with the stack before."""
    # One after the other: the mirror may have been current until the records were completed.
    return [*mend(_lost()), *mend(_left_in_folder()), *mend(of_mirror(mirror.ephemeral))]


def _lost() -> Iterator[Difference]:
    for record in EphemeralProgram.objects.live():
        complete = partial(finish, record, None)
        yield Difference(f"{record.group} has ended with the stack", "recorded as ended", complete)


def _left_in_folder() -> Iterator[Difference]:
    folder = Path(settings.PROGRAMS_FOLDER)
    for file in sorted((*folder.glob(f"{PREFIX}*"), *folder.glob(f".{PREFIX}*"))):
        yield Difference(f"conf.d/{file.name} belongs to no program", "removed", partial(_remove_file, file))


def _remove_file(file: Path) -> None:
    _remove_logs_without_record(file.stem)
    file.unlink(missing_ok=True)


def purge(record: EphemeralProgram) -> None:
    """Remove a record that has ended, and the logs in its own folder."""
    if not Program.objects.filter(name=record.log_name).exists():  # whose logs would be there too
        shutil.rmtree(record.log_folder, ignore_errors=True)
    record.delete()


def purge_outdated() -> int:
    """Remove what nobody can ask about any more."""
    outdated = list(EphemeralProgram.objects.outdated())
    for record in outdated:
        purge(record)
    return len(outdated)


def _remove_logs_without_record(group: str) -> None:
    """Remove what a launch has logged that was cut off before it was recorded: nobody knows its id."""
    if EphemeralProgram.objects.filter(temporary_id=group).exists():
        return
    with suppress(OSError, ValueError, KeyError, TypeError):  # whatever it is that lies there
        written = json.loads(registration.file_of(group).read_bytes())
        for stream in ("stdout", "stderr"):
            folder = Path(written[stream] or "/").parent
            if folder.parent == settings.LOGS_DIR and folder.name.endswith(group.removeprefix(PREFIX)):
                shutil.rmtree(folder, ignore_errors=True)


def _outcome(record: EphemeralProgram, state: ProgramState | None) -> dict[str, Any]:
    """The fields that tell how it ended."""
    now = datetime.now(UTC)
    if state is None:
        return {"ended_at": now, "final_status": "stopped", "error": LOST}
    process = statuses.process_state(state, record.group)
    ended = process.get("last_run")
    stopped = process["state"] == "stopped"
    # Stopped while it waited for its start, or for the next try: no run has ended at that moment.
    ended_with_run = ended if ended and (ended["requested"] or not stopped) else None
    error = ended["error"] if ended else None
    if stopped and not error:
        error = _CUT_SHORT.get(state["cut_short"] or "")
    return {
        "ended_at": datetime.fromtimestamp(ended_with_run["ended_at"], UTC) if ended_with_run else now,
        "final_status": process["state"],
        "exit_code": ended["exit_code"] if ended else None,
        "signal": (ended and ended["signal"]) or "",
        "error": error or "",
    }
