"""``manage.py restore FILE``: go back to a backup."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.stack import backup
from hoody_site.stack.problem import StackProblem


class Command(DaemonCommand):
    """Restore a backup."""

    help = "Replace database, secret key, token and defaults by those of a backup. The stack must be stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file."""
        parser.add_argument("file", type=Path)

    def run(self, options: dict[str, Any]) -> str:
        """Restore the backup, and say where the replaced files are."""
        file = options["file"].absolute()
        try:
            kept = backup.restore(file)
        except StackProblem as problem:
            raise CommandError(str(problem)) from problem
        replaced = f" What it replaced is in {kept}." if kept else ""
        return f"Restored from {file}: the next start uses it.{replaced}"
