"""``manage.py listen_events``: the event listener, which supervisord runs."""

import logging
import signal
import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand

from daemon_programs.exceptions import SupervisorUnavailable
from daemon_programs.history.recorder import Recorder
from daemon_programs.supervisor.listener import pokes

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Run the event listener."""

    help = "Record supervisord's state changes (supervisord runs this as its event listener)."
    requires_system_checks = []
    must_end = False
    is_waiting = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Record state changes until supervisord ends or stops the listener."""
        signal.signal(signal.SIGTERM, self._end)
        try:
            self._listen(Recorder())
        except SupervisorUnavailable:
            logger.warning("supervisord has ended")

    def _listen(self, recorder: Recorder) -> None:
        events = pokes()
        try:
            recorder.record_new()  # changes from before the listener started
            while self._wait(events):
                recorder.record_new()
        finally:
            self.is_waiting = False
            # supervisord stops the listener last: record how everything else has ended.
            recorder.record_new()

    def _wait(self, events: Iterator[None]) -> bool:
        """Wait for the next event; return False if there will be none, or the listener has to end."""
        self.is_waiting = True
        if self.must_end:
            return False
        for _ in events:
            self.is_waiting = False
            return True
        return False

    def _end(self, signum: int, frame: Any) -> None:
        """End at once while waiting, but finish a batch first: an open transaction locks the database."""
        self.must_end = True
        if self.is_waiting:
            self.is_waiting = False
            sys.exit(0)
