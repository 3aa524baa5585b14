"""``manage.py reconcile``: what the queue does once a minute, at once."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.stack import reconciliation
from hoody_site.stack.database import DatabaseUnusable


class Command(DaemonCommand):
    help = "Bring everything of a running stack in line with the database, and say what was not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")

    def run(self, options: dict[str, Any]) -> str:
        dry_run = options["dry_run"]
        try:
            differences = reconciliation.reconcile(dry_run=dry_run)
        except DatabaseUnusable as problem:
            raise CommandError(str(problem)) from problem
        told = "\n".join(difference.sentence(dry_run=dry_run) for difference in differences)
        if any(difference.fault for difference in differences):
            raise CommandError(f"Not everything could be mended:\n{told}")
        return told or "Everything is in line."
