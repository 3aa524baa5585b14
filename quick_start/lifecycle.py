"""The end of temporary programs: their records completed, everything else of them removed.

Everything in here may be called twice, by anybody: the event listener, a request, the queue, the
stack's start. Whoever comes first does it.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from daemon_programs import statuses, sync
from daemon_programs.gateway import supervisor
from daemon_programs.supervisor.client import State
from daemon_programs.transactions import write_transaction
from quick_start import mirror
from quick_start.models import PREFIX, TTL_OVER, EphemeralProgram

LOST = "daemon restarted before the program finished"


def is_over(group: str, state: State | None) -> bool:
    """Whether a temporary program has ended for good, by supervisord's word."""
    return state is not None and bool(statuses.process_state(state, group).get("over"))


def finish(record: EphemeralProgram, state: State | None) -> EphemeralProgram:
    """Complete a record with how its program ended, and have supervisord forget it.

    ``state`` None: nobody knows how it ended, since supervisord has gone with it.
    """
    with write_transaction():
        record = EphemeralProgram.objects.get(pk=record.pk)
        if record.ended_at is None:
            for name, value in _outcome(record, state).items():
                setattr(record, name, value)
            record.save()
            sync.withdraw(record)
    return record


def finish_group(group: str, state: State) -> None:
    """The event listener's word that a temporary program is over."""
    record = EphemeralProgram.objects.live().filter(temporary_id=group).first()
    if record is not None:
        finish(record, state)


def reconcile() -> list[str]:
    """Bring records, supervisord and configuration in line; a sentence for each thing that was out.

    The safety net under the events: it completes what they have missed.
    """
    states = {
        group: state for group, state in supervisor.states()["programs"].items() if group.startswith(PREFIX)
    }
    mended = []
    records = {record.group: record for record in EphemeralProgram.objects.live()}
    for group, record in records.items():
        if group not in states or is_over(group, states[group]):
            finish(record, states.get(group))
            mended.append(f"{group} had ended unnoticed")
    with write_transaction():
        wanted = set(EphemeralProgram.objects.live().values_list("temporary_id", flat=True))
        mended += _forget_unknown(wanted, states)
    if mirror.write():
        mended.append("ephemeral.json was not up to date")
    return mended


def complete_lost() -> int:
    """At the stack's start, when nothing runs yet: what was live has ended with the stack before."""
    with sync.offline():
        lost = [finish(record, None) for record in EphemeralProgram.objects.live()]
    for file in Path(settings.PROGRAMS_FOLDER).glob(f"{PREFIX}*"):
        file.unlink(missing_ok=True)
    mirror.write()
    return len(lost)


def purge(record: EphemeralProgram) -> None:
    """Remove a record that has ended, and the logs in its own folder."""
    shutil.rmtree(record.log_folder, ignore_errors=True)
    record.delete()


def purge_outdated() -> int:
    """Remove what nobody can ask about any more."""
    outdated = list(EphemeralProgram.objects.outdated())
    for record in outdated:
        purge(record)
    return len(outdated)


def _forget_unknown(wanted: set[str], states: dict[str, State]) -> list[str]:
    mended = []
    for group in sorted(set(states) - wanted):
        supervisor.remove(group)
        mended.append(f"{group} was still known to supervisord")
    for file in sorted(Path(settings.PROGRAMS_FOLDER).glob(f"{PREFIX}*.json")):
        if file.stem not in wanted:
            file.unlink(missing_ok=True)
            mended.append(f"{file.name} belonged to no program")
    return mended


def _outcome(record: EphemeralProgram, state: State | None) -> dict[str, Any]:
    """The fields that tell how it ended."""
    if state is None:
        return {"ended_at": datetime.now(UTC), "final_status": "stopped", "error": LOST}
    process = statuses.process_state(state, record.group)
    ended = process.get("last_run") or {}
    expired = ended.get("expired") or (record.expires_at and datetime.now(UTC) >= record.expires_at)
    stopped = process["state"] == "stopped"
    return {
        "ended_at": datetime.fromtimestamp(ended["ended_at"], UTC) if ended else datetime.now(UTC),
        "final_status": process["state"],
        "exit_code": ended.get("exit_code"),
        "signal": ended.get("signal") or "",
        "error": ended.get("error") or (TTL_OVER if stopped and expired else ""),
    }
