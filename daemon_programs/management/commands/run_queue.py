"""``manage.py run_queue``: the queue, which supervisord runs."""

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections
from django_q import cluster

from daemon_programs.webhooks.dispatch_lock import request_dispatch, request_end


class Guard(cluster.Sentinel):
    """The process of the queue that monitors the others."""

    def reincarnate(self, process: Any) -> None:
        """Replace a process that has ended.

        A process that was killed may have held a lock that all of them share, for which a new one would
        wait forever. So the whole queue is killed then, and supervisord restarts it.
        """
        if process.exitcode is not None and process.exitcode < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().reincarnate(process)


cluster.Sentinel = Guard  # the class that a cluster instantiates


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
