"""``manage.py run_stack``: what ``make run`` runs."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from daemon_programs.commands import CHECKS
from hoody_site import database, reconciliation, stack


class Command(BaseCommand):
    help = "Set up what is missing, then run the whole stack in the foreground until Ctrl-C or SIGTERM."
    requires_system_checks = CHECKS

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            stack.make_state_folder()
            lock = stack.lock_state_folder()
            stack.make_secret_key()
            if survivors := stack.end_survivors():
                self.stdout.write(f"Ended {survivors} processes that a killed stack had left behind.")
            stack.check_address(patience_seconds=5 if survivors else 0)
            stack.prepare_database()
            stack.load_programs()
            recovered = reconciliation.recover()
            stack.write_supervisord_configuration()
            first = stack.make_first_administrator()  # last: what it shows is shown only once
        except (stack.StackProblem, database.DatabaseUnusable) as problem:
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
        stack.become_supervisord(lock)

    def _introduce(self, first: tuple[str, str] | None) -> None:
        url = stack.url()
        lines = [f"API      {url}", f"Admin    {url}admin/", f"Docs     {url}api/docs/"]
        if first:
            password, token = first
            lines += [
                f"Log in   {stack.ADMINISTRATOR} / {password}   (shown only now)",
                f"Token    {token}   (shown only now)",
            ]
        else:
            lines.append(
                f"Log in   {stack.ADMINISTRATOR}; forgotten: manage.py changepassword {stack.ADMINISTRATOR}"
            )
        lines += [f"         for scripts of this host it is in {settings.API_TOKEN_FILE}", ""]
        self.stdout.write("\n".join(lines))
