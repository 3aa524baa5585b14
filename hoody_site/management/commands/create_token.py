"""``manage.py create_token USER NAME``: create an API token for a user."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.access import tokens

_MAX_DAYS = 3650


class Command(DaemonCommand):
    """Create an API token."""

    help = "Create an API token for a user and print it. It is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Accept the user, a name for the token, and its lifetime in days."""
        parser.add_argument("user")
        parser.add_argument("name", help="The client that uses the token.")
        parser.add_argument("--days", type=int, help="Days until the token expires; the default is never.")

    def run(self, options: dict[str, Any]) -> str:
        """Return the new token."""
        days = options["days"]
        if days is not None and not 1 <= days <= _MAX_DAYS:
            raise CommandError(f"--days must be between 1 and {_MAX_DAYS}")
        lifetime = timedelta(days=days) if days else None
        return tokens.create(options["user"], options["name"], lifetime)
