"""``manage.py listen_events``: run by supervisord as its event listener, not by people."""

from typing import Any

from django.core.management.base import BaseCommand

from daemon_programs.signals import program_ended, state_changed
from daemon_programs.supervisor.events import ProgramEnd, StateChange
from daemon_programs.supervisor.listener import listen


class Command(BaseCommand):
    help = "Bring supervisord's state changes into Django (supervisord runs this as its event listener)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        listen(self._send)

    def _send(self, told: StateChange | ProgramEnd) -> None:
        if isinstance(told, ProgramEnd):
            program_ended.send_robust(sender=ProgramEnd, end=told)  # which logs what fails
        else:
            state_changed.send_robust(sender=StateChange, change=told)
