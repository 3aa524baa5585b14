"""``manage.py run_queue``: run by supervisord, not by people."""

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections
from django_q import cluster

from daemon_programs.webhooks.dispatch_lock import ask_for_dispatch, end_soon


class Guard(cluster.Sentinel):
    """The process that looks after the others."""

    def reincarnate(self, process: Any) -> None:
        """Put a new one in the place of one that has ended.

        One that was killed may have held a lock that all of them share: then the new one would wait for it
        for ever. So all of them end here, and supervisord starts the queue anew.
        """
        if process.exitcode is not None and process.exitcode < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super().reincarnate(process)


cluster.Sentinel = Guard  # the one that a cluster starts


class Queue(cluster.Cluster):
    """django-q2's processes. It lets tasks under way end by themselves: the long one is told to."""

    def sig_handler(self, signum: int, frame: Any) -> None:
        end_soon()
        super().sig_handler(signum, frame)


class Command(BaseCommand):
    help = "Run the queue (supervisord runs this as the scheduler)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        ask_for_dispatch()  # there may be something left of before
        connections.close_all()  # none is to be shared with the processes that are forked
        Queue().start()
