"""``manage.py run_queue``: the queue, which supervisord runs."""

import logging
import os
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections
from django_q import cluster

from daemon_programs.maintenance import clocks
from daemon_programs.webhooks.dispatch_lock import request_dispatch, request_end

logger = logging.getLogger(__name__)

_run_due_schedules = cluster.scheduler
_LOOK_SECONDS = 0.1


class SteadyEvent:
    """An event of multiprocessing, whose own waits would last an hour longer if the clock is set back one."""

    def __init__(self, event: Any) -> None:
        self._event = event
        self.set = event.set
        self.is_set = event.is_set

    def wait(self, seconds: float) -> bool:
        """Wait for so long, by the monotonic clock, and return whether the event is set."""
        deadline = time.monotonic() + seconds
        while not self.is_set() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        return bool(self.is_set())


def run_due_schedules(broker: Any) -> None:
    """Run the schedules that are due, after a clock that was set back has been accounted for."""
    try:
        clocks.correct()
    except DatabaseError:  # such as a full disk
        logger.exception("Planned times can't be corrected at the moment")
    _run_due_schedules(broker=broker)


class Guard(cluster.Sentinel):
    """The process of the queue that monitors the others."""

    def __init__(self, stop_event: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(SteadyEvent(stop_event), *arguments, **options)

    def reincarnate(self, process: Any) -> None:
        """Replace a process that has ended.

        A process that was killed may have held a lock that all of them share, for which a new one would
        wait forever. So the whole queue is killed then, and supervisord restarts it.
        """
        if process.exitcode is not None and process.exitcode < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().reincarnate(process)


cluster.Sentinel = Guard  # the class that a cluster instantiates
cluster.scheduler = run_due_schedules  # what its guard calls twice a minute


class Queue(cluster.Cluster):
    """The processes of django-q2, which wait for running tasks when they are stopped."""

    def sig_handler(self, signum: int, frame: Any) -> None:
        """Have a running dispatch of webhooks end early, because it can take minutes."""
        request_end()
        super().sig_handler(signum, frame)


class Command(BaseCommand):
    """Run the queue."""

    help = "Run the queue (supervisord runs this as the scheduler)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Request a dispatch, and run the queue until it is stopped."""
        request_dispatch()  # deliveries may be left from an earlier run
        connections.close_all()  # they must not be shared with the forked processes
        Queue().start()
