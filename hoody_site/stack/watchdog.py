"""Watchdog of the queue: restart it when it has stalled.

django-q2 does not notice when one of its workers is killed or stopped, and may then run no more tasks. The
queue has scheduled tasks every minute, so if none has finished for three minutes, the watchdog ends the
queue, and supervisord starts it again. It runs as a thread of the API. Tasks may safely be run twice.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, connection

from daemon_programs.exceptions import DaemonError
from daemon_programs.supervisor.gateway import supervisor

logger = logging.getLogger(__name__)

QUEUE = "scheduler"  # the queue's name in supervisord
STALLED_AFTER_SECONDS = 180.0
_CHECK_INTERVAL_SECONDS = 20.0


class Watchdog:
    """Call ``revive`` when the value of ``read_progress`` has not changed for three minutes."""

    def __init__(
        self,
        read_progress: Callable[[], object],
        revive: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_progress = read_progress
        self._revive = revive
        self._clock = clock
        self._progress: object = None
        self._since = clock()

    def check(self) -> None:
        """Compare the progress with that of the last call, and revive the queue if it has stalled."""
        now, progress = self._clock(), self._read_progress()
        if progress != self._progress:
            self._progress, self._since = progress, now
        elif now - self._since >= STALLED_AFTER_SECONDS:
            logger.error("The queue has finished no task for %d seconds and is restarted", now - self._since)
            self._since = now
            self._revive()


def finished_tasks() -> object:
    """Return the ids of the tasks that are recorded: no order by time, which the host may set back.

    Of successes the last hundred are kept, so that another one is seen by its id.
    """
    from django_q.models import Task

    return frozenset(Task.objects.order_by().values_list("id", flat=True))


def revive_queue() -> None:
    """End the queue, so that supervisord starts it again."""
    supervisor.revive(QUEUE)


def start() -> None:
    """Start the watchdog, for the lifetime of this process."""
    threading.Thread(target=_watch, name="watchdog", daemon=True).start()


def _watch() -> None:
    watchdog = Watchdog(finished_tasks, revive_queue)
    while True:
        time.sleep(_CHECK_INTERVAL_SECONDS)
        try:
            watchdog.check()
        except (DatabaseError, DaemonError) as problem:
            logger.warning("The queue can't be checked at the moment: %s", problem)
            connection.close()
