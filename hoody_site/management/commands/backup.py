"""``manage.py backup FILE``: save the database and what belongs to it."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.stack import backup
from hoody_site.stack.database import DatabaseUnusable


class Command(DaemonCommand):
    """Back up."""

    help = (
        "Write programs, users, tokens, history, secret key and defaults to a file (mode 0600), from which "
        "they can be restored. The stack may run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file."""
        parser.add_argument("file", type=Path)

    def run(self, options: dict[str, Any]) -> str:
        """Write the backup."""
        file = options["file"].absolute()
        try:
            backup.back_up(file)
        except DatabaseUnusable as problem:
            raise CommandError(str(problem)) from problem
        return f"Backed up to {file}."
