"""Record the plugin's journal in the history, and send a signal for each entry: the event listener's work."""

import logging
import time
from typing import Any

from django.db import DatabaseError, connection

from daemon_programs.history import store
from daemon_programs.history.signals import program_ended, state_changed
from daemon_programs.supervisor.events import ProgramEnd, StateChange, read
from daemon_programs.supervisor.gateway import supervisor

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0


class Recorder:
    """Records the journal, and keeps its position in it.

    There is only one at a time, because supervisord runs one event listener.
    """

    def __init__(self) -> None:
        self.boot = ""
        self.number = 0

    def record_new(self) -> None:
        """Record all new entries, retrying until the database can be written.

        Raise SupervisorUnavailable if supervisord has ended.
        """
        while True:
            try:
                if not self._record_batch():
                    return
            except (DatabaseError, OSError):
                # The journal keeps the entries until they are recorded, and the cause may pass: a full disk.
                logger.exception("State changes can't be recorded at the moment")
                connection.close()
                time.sleep(_RETRY_SECONDS)

    def _record_batch(self) -> bool:
        """Record the next entries of the journal; return whether there were any."""
        batch = supervisor.journal(self.boot, self.number)
        entries = [entry for each in batch["entries"] if (entry := _readable(each))]
        changes = [entry for entry in entries if isinstance(entry, StateChange)]
        recorded = store.record(batch["boot"], changes)
        if batch["lost"]:
            logger.error("%s changes were lost: the event listener was away for too long", batch["lost"])
            recorded += store.close_gaps_after_loss(batch["states"])
        if recorded:
            supervisor.recorded()
        for entry in entries:
            _send(entry)
        # Only now, since the next call has the entries up to this number dropped from the journal.
        self.boot = batch["boot"]
        self.number = batch["entries"][-1]["number"] if batch["entries"] else batch["last"]
        return bool(batch["entries"] or batch["lost"])


def _readable(entry: dict[str, Any]) -> StateChange | ProgramEnd | None:
    """Return an entry as an object; None if it can't be read, so that it does not block the next ones."""
    try:
        return read(entry)
    except (KeyError, ValueError):
        logger.exception("An entry of the journal can't be read")
        return None


def _send(entry: StateChange | ProgramEnd) -> None:
    if isinstance(entry, ProgramEnd):
        program_ended.send_robust(sender=ProgramEnd, end=entry)  # Django logs a receiver that fails
    else:
        state_changed.send_robust(sender=StateChange, change=entry)
