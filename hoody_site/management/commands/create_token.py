"""``manage.py create_token USER NAME``: an API token for a user."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.access import tokens

_MOST_DAYS = 3650


class Command(DaemonCommand):
    help = "Make an API token for a user and print it, this once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("name", help="What or who uses it.")
        parser.add_argument("--days", type=int, help="Until it expires.")

    def run(self, options: dict[str, Any]) -> str:
        days = options["days"]
        if days is not None and not 1 <= days <= _MOST_DAYS:
            raise CommandError(f"--days must be between 1 and {_MOST_DAYS}")
        lifetime = timedelta(days=days) if days else None
        return tokens.create(options["user"], options["name"], lifetime)
