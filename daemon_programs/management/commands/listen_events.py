"""``manage.py listen_events``: run by supervisord as its event listener, not by people."""

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
    help = "Record supervisord's state changes (supervisord runs this as its event listener)."
    requires_system_checks = []
    is_to_end = False
    is_waiting = False

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, self._end)
        try:
            self._listen(Recorder())
        except SupervisorUnavailable:
            logger.warning("supervisord has gone")

    def _listen(self, recorder: Recorder) -> None:
        events = pokes()
        try:
            recorder.record_new()  # what has happened before it was there
            while self._wait(events):
                recorder.record_new()
        finally:
            self.is_waiting = False
            # At the stack's end it is stopped last: what the end of the others has left is recorded.
            recorder.record_new()

    def _wait(self, events: Iterator[None]) -> bool:
        """Wait for the next event; False if there will be none, or none that matters."""
        self.is_waiting = True
        if self.is_to_end:
            return False
        for _ in events:
            self.is_waiting = False
            return True
        return False

    def _end(self, signum: int, frame: Any) -> None:
        """Recording is not broken off: half a transaction would lock the database for everybody."""
        self.is_to_end = True
        if self.is_waiting:
            self.is_waiting = False
            sys.exit(0)
