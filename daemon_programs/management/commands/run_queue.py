"""``manage.py run_queue``: the queue, which supervisord runs.

django-q2 would run six processes, each with all of the project in its memory. Here its guard is the main
process, and its workers, its pusher and its monitor are threads of it.
"""

import logging
import os
import queue
import select
import signal
import threading
import uuid
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from daemon_programs import optional
from daemon_programs.maintenance import clocks
from daemon_programs.webhooks.dispatch_lock import request_dispatch, request_end

with optional.without("psutil"):
    from django_q import cluster
    from django_q.models import Schedule
    from django_q.tasks import async_task

logger = logging.getLogger(__name__)

_run_due_schedules = cluster.scheduler


class StopRequest:
    """An event that a signal handler can set. A wait for it sleeps, by the monotonic clock."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def set(self) -> None:
        """Set the event, for good."""
        os.write(self._writer, b"\0")

    def is_set(self) -> bool:
        """Return whether the event is set."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait until the event is set, for so long at most; return whether it is."""
        return bool(select.select([self._reader], [], [], seconds)[0])


class NoStatus:
    """In place of the status that django-q2 would keep in a cache, where no other process could read it."""

    def __init__(self, guard: Any) -> None: ...

    def save(self) -> None:
        """Save nothing."""


def run_due_schedules(broker: Any) -> None:
    """Run the schedules that are due, after a clock that was set back has been accounted for."""
    try:
        clocks.correct()
    except DatabaseError:  # such as a full disk
        logger.exception("Planned times can't be corrected at the moment")
    _run_due_schedules(broker=broker)


class PartQueue(queue.Queue[Any]):
    """In place of a queue between processes, which fails the threads that read it when it is closed."""

    def close(self) -> None:
        """Leave it open for what is in it: the last thing that a part reads tells it to end."""

    def join_thread(self) -> None:
        """Wait for no thread: what is put into it can be read at once."""


cluster.Queue = PartQueue  # by which the parts hand on tasks and results
cluster.Stat = NoStatus  # what a guard saves once a second
cluster.scheduler = run_due_schedules  # what it calls twice a minute


class Guard(cluster.Sentinel):
    """The main process of the queue: it starts the threads that do the work, and watches them."""

    def __init__(self) -> None:
        """Run until it is stopped."""
        super().__init__(StopRequest(), threading.Event(), uuid.uuid4())

    def start(self) -> None:
        """Let SIGTERM stop the queue, and run it."""
        signal.signal(signal.SIGTERM, self._end)
        super().start()

    def _end(self, signum: int, frame: Any) -> None:
        """End the queue after the running tasks, and a dispatch of webhooks early, which can take minutes."""
        request_end()
        self.stop_event.set()

    def spawn_process(self, target: Any, *arguments: Any) -> threading.Thread:
        """Start a part of the queue as a thread."""
        thread = threading.Thread(target=target, args=arguments, name=target.__name__, daemon=True)
        if target is cluster.worker:
            thread.timer = arguments[2]  # type: ignore[attr-defined]  # the seconds that are left to its task
            self.pool.append(thread)
        thread.start()
        return thread

    def reincarnate(self, part: threading.Thread) -> None:
        """Replace a thread that has ended.

        No thread can be ended from outside. So if a task takes too long, the whole queue is killed, and
        supervisord restarts it.
        """
        if part.is_alive():
            logger.error("A task takes too long: the queue is restarted")
            os.kill(os.getpid(), signal.SIGKILL)
        super().reincarnate(part)


class Command(BaseCommand):
    """Run the queue."""

    help = "Run the queue (supervisord runs this as the scheduler)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Request a dispatch, and run the queue until it is stopped."""
        request_dispatch()  # deliveries may be left from an earlier run
        for schedule in Schedule.objects.filter(func__in=settings.QUEUE_STARTS_WITH):
            async_task(schedule.func, save=False)
        Guard()
