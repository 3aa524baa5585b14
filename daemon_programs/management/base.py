"""What the management commands have in common: one call, one answer, errors as one sentence."""

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

# What an installation is to be checked for. Django's other checks are for who changes the code: they load all
# of the API, which takes longer than most commands do.
CHECKS = ["environment"]


def _refuse_another_users_stack() -> None:
    """What root wrote there its owner could not read any more."""
    with suppress(FileNotFoundError):
        if settings.STATE_DIR.stat().st_uid != os.geteuid():
            raise CommandError(
                f"The state folder {settings.STATE_DIR} belongs to another user: run this as that user"
            )


class DaemonCommand(BaseCommand):
    """Works on a running stack, and on a stopped one: then supervisord learns of it at its start."""

    requires_system_checks = CHECKS

    def run(self, options: dict[str, Any]) -> str:
        """Do it, and return what to print; DaemonErrors are reported."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        _refuse_another_users_stack()
        try:
            with actors.acting(lambda: actors.COMMAND):
                if gateway.supervisor.is_running():
                    answer = self.run(options)
                else:
                    with registration.offline():
                        answer = self.run(options)
        except (DaemonError, OSError) as problem:
            raise CommandError(str(problem)) from problem
        except DatabaseError as problem:
            never_made = any(words in str(problem) for words in ("no such table", "unable to open"))
            question = ", has the stack ever run?" if never_made else ""
            raise CommandError(f"The database can't be used{question} ({problem})") from problem
        self.stdout.write(answer)
