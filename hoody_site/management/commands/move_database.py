"""``move_database``: carry an installation from SQLite to PostgreSQL, or back."""

import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from daemon_programs.files import remove
from daemon_programs.management.base import DaemonCommand
from hoody_site.stack import database, folder, survivors, transfer
from hoody_site.stack.problem import StackProblem

TO_POSTGRESQL, TO_SQLITE = "postgresql", "sqlite"


class Command(DaemonCommand):
    """Move the data to the other engine."""

    help = (
        "Copy everything from the database in the state folder to the one of DAEMON_DATABASE_URL, or back. "
        "The stack must be stopped. The copied database stays as it is."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the direction."""
        parser.add_argument("--to", choices=[TO_POSTGRESQL, TO_SQLITE], required=True)

    def run(self, options: dict[str, Any]) -> str:
        """Move the data, and say how the stack uses it."""
        if not settings.DATABASE_URL:
            raise CommandError("DAEMON_DATABASE_URL must name the PostgreSQL database, in both directions")
        try:
            folder.make_state_folder()
            folder.lock_state_folder()  # until this process ends
            survivors.end_survivors()  # which may still write to the database
            return _move_in() if options["to"] == TO_POSTGRESQL else _move_out()
        except StackProblem as problem:
            raise CommandError(str(problem)) from problem


def _move_in() -> str:
    if not settings.SQLITE_FILE.exists():
        raise CommandError(f"There is no database in {settings.STATE_DIR}: has the stack ever run?")
    if damage := database.damage_of(settings.SQLITE_FILE):
        raise CommandError(f"{settings.SQLITE_FILE} can't be copied, it is damaged: {damage}")
    database.migrate()
    if get_user_model().objects.exists():
        raise CommandError("The database of DAEMON_DATABASE_URL is in use: it must be empty")
    with tempfile.TemporaryDirectory(prefix=".move-", dir=settings.STATE_DIR) as folder_name:
        copy = Path(folder_name, settings.SQLITE_FILE.name)  # it may have to be migrated
        database.copy_file(settings.SQLITE_FILE, copy)
        transfer.copy_from_file(copy)
    return "Copied. The next start with DAEMON_DATABASE_URL uses it; the file stays as it was."


def _move_out() -> str:
    if settings.SQLITE_FILE.exists():
        raise CommandError(f"{settings.SQLITE_FILE} exists: move it away first")
    database.check()
    new = settings.SQLITE_FILE.with_suffix(".new")
    remove(new)
    transfer.copy_to_file(new)
    new.chmod(0o600)
    new.rename(settings.SQLITE_FILE)
    return f"Copied to {settings.SQLITE_FILE}. The next start without DAEMON_DATABASE_URL uses it."
