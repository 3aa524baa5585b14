"""``manage.py rotate_token [USER NAME]``: replace an API token, for instance one that has leaked."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.access import tokens


class Command(DaemonCommand):
    """Replace an API token."""

    help = (
        "Replace an API token, revoke the old one at once, and print the new one. It is shown only once. "
        "Without arguments: replace the token in the file api-token, and update the file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Accept a user and the name of a token, both optional."""
        parser.add_argument("user", nargs="?")
        parser.add_argument("name", nargs="?")

    def run(self, options: dict[str, Any]) -> str:
        """Return the new token."""
        user, name = options["user"], options["name"]
        if user is None:
            return tokens.rotate_stored()
        if name is None:
            raise CommandError("The name of the user's token is required too")
        return tokens.rotate(user, name)
