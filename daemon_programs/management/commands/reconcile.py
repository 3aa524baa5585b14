"""``manage.py reconcile``: what the queue does once a minute, at once."""

from typing import Any

from daemon_programs.commands import DaemonCommand
from daemon_programs.reconcile import reconcile


class Command(DaemonCommand):
    help = "Bring configuration, supervisord and programs.json of a running stack in line with the database."

    def run(self, options: dict[str, Any]) -> str:
        return "\n".join(reconcile()) or "Everything is in line."
