"""``manage.py import_programs FILE``: make the programs those of a file."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from daemon_programs import backups
from daemon_programs.commands import DaemonCommand


class Command(DaemonCommand):
    help = "Make the programs those of a file: add, change and remove what differs, leave alone the rest."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument("--keep-others", action="store_true", help="Don't remove what the file lacks.")

    def run(self, options: dict[str, Any]) -> str:
        documents = backups.read_documents(options["file"])
        plan = backups.plan_import(documents, keep_others=options["keep_others"])
        sentences = plan.sentences()
        if not options["dry_run"]:
            backups.carry_out(plan)
        return "\n".join(sentences)
