"""Watches the queue from outside: a killed or stopped worker of django-q2 stalls it for ever, unnoticed.

It has something to do every minute. If it has finished nothing for some minutes, it is ended, and
supervisord starts it again. Runs in the API, as a thread; what the queue calls may be called twice.
"""

import logging
import threading
import time
from collections.abc import Callable

from django.db import DatabaseError, connection

from daemon_programs.exceptions import DaemonError
from daemon_programs.supervisor.gateway import supervisor

logger = logging.getLogger(__name__)

QUEUE = "scheduler"  # as supervisord knows it
PATIENCE_SECONDS = 180.0
_LOOK_EVERY_SECONDS = 20.0


class Watchdog:
    """``read_progress`` changes as long as all is well; ``revive`` is called when it has not for too long."""

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

    def look(self) -> None:
        now, progress = self._clock(), self._read_progress()
        if progress != self._progress:
            self._progress, self._since = progress, now
        elif now - self._since >= PATIENCE_SECONDS:
            logger.error("The queue has done nothing for %d seconds: it is started again", now - self._since)
            self._since = now
            self._revive()


def last_finished() -> object:
    """The task that the queue has finished last."""
    from django_q.models import Task

    return Task.objects.order_by("-stopped").values_list("id", "stopped").first()


def revive_queue() -> None:
    supervisor.revive(QUEUE)


def start() -> None:
    """Watch for as long as this process lives."""
    threading.Thread(target=_watch, name="watchdog", daemon=True).start()


def _watch() -> None:
    watchdog = Watchdog(last_finished, revive_queue)
    while True:
        time.sleep(_LOOK_EVERY_SECONDS)
        try:
            watchdog.look()
        except (DatabaseError, DaemonError) as problem:
            logger.warning("The queue can't be watched at the moment: %s", problem)
            connection.close()
