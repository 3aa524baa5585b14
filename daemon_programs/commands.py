"""What the management commands have in common: one call, one answer, errors as one sentence."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from daemon_programs import actors, gateway, sync
from daemon_programs.exceptions import DaemonError

# What an installation is to be checked for. Django's other checks are for who changes the code: they load all
# of the API, which takes longer than most commands do.
CHECKS = ["environment"]


class DaemonCommand(BaseCommand):
    """Works on a running stack, and on a stopped one: then supervisord learns of it at its start."""

    requires_system_checks = CHECKS

    def run(self, options: dict[str, Any]) -> str:
        """Do it, and return what to print; DaemonErrors are reported."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with actors.acting(lambda: actors.COMMAND):
                if gateway.supervisor.is_running():
                    answer = self.run(options)
                else:
                    with sync.offline():
                        answer = self.run(options)
        except (DaemonError, OSError) as problem:
            raise CommandError(str(problem)) from problem
        except DatabaseError as problem:
            raise CommandError(
                f"The database can't be used, has the stack ever run? ({problem})"
            ) from problem
        self.stdout.write(answer)
