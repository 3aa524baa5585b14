"""``manage.py reconcile``: what the queue does once a minute, at once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from daemon_programs.exceptions import DaemonError
from daemon_programs.reconcile import reconcile


class Command(BaseCommand):
    help = "Bring configuration, supervisord and programs.json in line with the database."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            mended = reconcile()
        except DaemonError as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write("\n".join(mended) or "Everything is in line.")
