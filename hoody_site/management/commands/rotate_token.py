"""``manage.py rotate_token [USER NAME]``: a new API token in the place of one that may have leaked."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from daemon_programs.management.base import DaemonCommand
from hoody_site.access import tokens


class Command(DaemonCommand):
    help = (
        "Put a new API token in the place of an old one, which is revoked at once, and print it, this once. "
        "Without arguments: that of the file api-token, which is replaced too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", nargs="?")
        parser.add_argument("name", nargs="?")

    def run(self, options: dict[str, Any]) -> str:
        user, name = options["user"], options["name"]
        if user is None:
            return tokens.rotate_kept()
        if name is None:
            raise CommandError("Say the name of the user's token too")
        return tokens.rotate(user, name)
