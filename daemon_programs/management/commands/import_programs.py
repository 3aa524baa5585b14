"""``manage.py import_programs FILE``: replace the programs by those of a file."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from daemon_programs.maintenance import mirror
from daemon_programs.maintenance.sets import replacing
from daemon_programs.management.base import DaemonCommand


class Command(DaemonCommand):
    """Import programs."""

    help = "Replace the programs by those of a file: add, change and remove what differs, keep the rest."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file and the options."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="Only show what would be done.")
        parser.add_argument(
            "--keep-others", action="store_true", help="Keep programs that are not in the file."
        )

    def run(self, options: dict[str, Any]) -> str:
        """Import the programs, and return a line for each."""
        documents = replacing.read_documents(options["file"])
        dry_run = options["dry_run"]
        lines = replacing.import_programs(documents, keep_others=options["keep_others"], dry_run=dry_run)
        if not dry_run:
            mirror.write()
        return "\n".join(lines) or "There are no programs."
