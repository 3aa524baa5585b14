"""The event listener's work: from the plugin's journal to the history, then to whoever else wants to know."""

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
    """Knows how far it has come. One of it at a time: supervisord runs one event listener."""

    def __init__(self) -> None:
        self.boot = ""
        self.number = 0

    def record_new(self) -> None:
        """Record everything there is, however long it takes: what can't be written is tried again.

        Raises SupervisorUnavailable: then there is nobody to record anything of.
        """
        while True:
            try:
                if not self._record_batch():
                    return
            except (DatabaseError, OSError):
                # The journal still has it. A full disk, for one, may have room again in a moment.
                logger.exception("What has happened can't be recorded at the moment")
                connection.close()
                time.sleep(_RETRY_SECONDS)

    def _record_batch(self) -> bool:
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
        # Not before everything of it is dealt with: the next call has it forgotten.
        self.boot = batch["boot"]
        self.number = batch["entries"][-1]["number"] if batch["entries"] else batch["last"]
        return bool(batch["entries"] or batch["lost"])


def _readable(entry: dict[str, Any]) -> StateChange | ProgramEnd | None:
    """An entry that can't be read must not keep out those behind it."""
    try:
        return read(entry)
    except (KeyError, ValueError):
        logger.exception("An entry of the journal can't be read")
        return None


def _send(entry: StateChange | ProgramEnd) -> None:
    if isinstance(entry, ProgramEnd):
        program_ended.send_robust(sender=ProgramEnd, end=entry)  # which logs what fails
    else:
        state_changed.send_robust(sender=StateChange, change=entry)
