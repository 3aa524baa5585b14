"""``manage.py reconcile``: run the reconciliation now instead of waiting for the queue."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.stack import reconciliation
from hoody_site.stack.database import DatabaseUnusable


class Command(DaemonCommand):
    """Reconcile a running stack with the database."""

    help = "Bring a running stack in line with the database, and list the differences found."

    def add_arguments(self, parser: CommandParser) -> None:
        """Accept ``--dry-run``."""
        parser.add_argument("--dry-run", action="store_true", help="List the differences and change nothing.")

    def run(self, options: dict[str, Any]) -> str:
        """Return one line for each difference; raise CommandError if one could not be repaired."""
        dry_run = options["dry_run"]
        try:
            differences = reconciliation.reconcile(dry_run=dry_run)
        except DatabaseUnusable as problem:
            raise CommandError(str(problem)) from problem
        report = "\n".join(difference.sentence(dry_run=dry_run) for difference in differences)
        if any(difference.error for difference in differences):
            raise CommandError(f"Some differences could not be repaired:\n{report}")
        return report or "No differences found."
