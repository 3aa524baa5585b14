"""``manage.py run_stack``: what ``make run`` runs."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from daemon_programs.management.base import CHECKS
from hoody_site import reconciliation
from hoody_site.stack import database, start


class Command(BaseCommand):
    help = "Set up what is missing, then run the whole stack in the foreground until Ctrl-C or SIGTERM."
    requires_system_checks = CHECKS

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            start.make_state_folder()
            lock = start.lock_state_folder()
            start.make_secret_key()
            if survivors := start.end_survivors():
                self.stdout.write(f"Ended {survivors} processes that a killed stack had left behind.")
            start.check_address(patience_seconds=5 if survivors else 0)
            start.prepare_database()
            start.load_programs()
            recovered = reconciliation.recover()
            start.write_supervisord_configuration()
            first = start.make_first_administrator()  # last: what it shows is shown only once
        except (start.StackProblem, database.DatabaseUnusable) as problem:
            raise CommandError(str(problem)) from problem
        except (OSError, DatabaseError) as problem:
            raise CommandError(
                f"The state folder {settings.STATE_DIR} can't be written or read: {problem}"
            ) from problem
        if not first:
            self.stdout.writelines(f"{difference.sentence()}\n" for difference in recovered)
        self._introduce(first)
        connections.close_all()
        self.stdout.flush()
        start.become_supervisord(lock)

    def _introduce(self, first: tuple[str, str] | None) -> None:
        url = start.url()
        lines = [f"API      {url}", f"Admin    {url}admin/", f"Docs     {url}api/docs/"]
        if first:
            password, token = first
            lines += [
                f"Log in   {start.ADMINISTRATOR} / {password}   (shown only now)",
                f"Token    {token}   (shown only now)",
            ]
        else:
            lines.append(
                f"Log in   {start.ADMINISTRATOR}; forgotten: manage.py changepassword {start.ADMINISTRATOR}"
            )
        lines += [f"         for scripts of this host it is in {settings.API_TOKEN_FILE}", ""]
        self.stdout.write("\n".join(lines))
