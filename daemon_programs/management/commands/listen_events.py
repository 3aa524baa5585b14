"""``manage.py listen_events``: run by supervisord as its event listener, not by people."""

from typing import Any

from django.core.management.base import BaseCommand

from daemon_programs.signals import state_changed
from daemon_programs.supervisor.events import StateChange
from daemon_programs.supervisor.listener import listen


class Command(BaseCommand):
    help = "Bring supervisord's state changes into Django (supervisord runs this as its event listener)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        listen(self._send)

    def _send(self, change: StateChange) -> None:
        for receiver, result in state_changed.send_robust(sender=StateChange, change=change):
            if isinstance(result, Exception):
                self.stderr.write(f"{receiver} failed: {result!r}")
