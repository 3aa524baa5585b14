"""The base of the management commands: make one call, print its result, and report errors as a sentence."""

import os
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from daemon_programs import actors
from daemon_programs.exceptions import DaemonError
from daemon_programs.programs import registration
from daemon_programs.supervisor import gateway
from daemon_programs.text import on_one_line

# The system checks of an installation. Django's other checks are for developers: they load all of the API,
# which takes longer than most commands.
CHECKS = ["environment"]
# What SQLite and PostgreSQL say of a database that no stack has prepared yet.
_MISSING = ("no such table", "unable to open", "does not exist")


def _refuse_another_users_stack() -> None:
    """Raise CommandError if another user owns the state folder, who could not read what this one writes."""
    with suppress(FileNotFoundError):
        if settings.STATE_DIR.stat().st_uid != os.geteuid():
            raise CommandError(
                f"The state folder {settings.STATE_DIR} belongs to another user: run this as that user"
            )


class DaemonCommand(BaseCommand):
    """A command that changes a running stack, or a stopped one, whose next start applies the changes."""

    requires_system_checks = CHECKS

    def run(self, options: dict[str, Any]) -> str:
        """Run the command and return the text to print; ``handle`` reports a DaemonError or OSError."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command, without calls to supervisord if the stack does not run."""
        _refuse_another_users_stack()
        try:
            with actors.acting(lambda: actors.COMMAND):
                if gateway.supervisor.is_running():
                    output = self.run(options)
                else:
                    with registration.offline():
                        output = self.run(options)
        except (DaemonError, OSError) as problem:
            raise CommandError(str(problem)) from problem
        except DatabaseError as problem:
            is_missing = any(words in str(problem) for words in _MISSING)
            question = ", has the stack ever run?" if is_missing else ""
            raise CommandError(f"The database can't be used{question} ({on_one_line(problem)})") from problem
        self.stdout.write(output)
