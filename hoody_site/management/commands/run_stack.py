"""``manage.py run_stack``: prepare and run the whole stack; ``make run`` calls it."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from daemon_programs.management.base import CHECKS
from daemon_programs.text import on_one_line
from hoody_site.stack import address, start
from hoody_site.stack.database import DatabaseUnusable
from hoody_site.stack.first_start import ADMINISTRATOR, Secrets
from hoody_site.stack.problem import StackProblem


class Command(BaseCommand):
    """Run the stack."""

    help = "Set up what is missing, then run the whole stack in the foreground until Ctrl-C or SIGTERM."
    requires_system_checks = CHECKS

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare the state folder, print the addresses, and become supervisord."""
        try:
            prepared = start.prepare(self.stdout.write)
        except (StackProblem, DatabaseUnusable) as problem:
            raise CommandError(str(problem)) from problem
        except (OSError, DatabaseError) as problem:
            if isinstance(problem, DatabaseError) and settings.DATABASE_URL:
                what = "The database of DAEMON_DATABASE_URL can't be used"
            else:
                what = f"The state folder {settings.STATE_DIR} can't be written or read"
            raise CommandError(f"{what}: {on_one_line(problem)}") from problem
        if not prepared.secrets:
            self.stdout.writelines(f"{difference.sentence()}\n" for difference in prepared.recovered)
        self._print_addresses(prepared.secrets)
        connections.close_all()
        self.stdout.flush()
        start.become_supervisord(prepared.lock)

    def _print_addresses(self, secrets: Secrets | None) -> None:
        url = address.url()
        lines = [f"API      {url}", f"Admin    {address.admin_url()}", f"Docs     {url}api/docs/"]
        if secrets:
            lines += [
                f"Log in   {ADMINISTRATOR} / {secrets.password}   (shown only now)",
                f"Token    {secrets.token}   (shown only now)",
                f"         for scripts of this host it is in {settings.API_TOKEN_FILE}",
            ]
        else:
            lines.append(
                f"Log in   {ADMINISTRATOR}; forgotten: {settings.COMMAND} changepassword {ADMINISTRATOR}"
            )
            if settings.API_TOKEN_FILE.exists():
                lines.append(f"Token    for scripts of this host: in {settings.API_TOKEN_FILE}")
        self.stdout.write("\n".join([*lines, ""]))
