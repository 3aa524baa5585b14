"""Check and migrate the database at the stack's start."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, ProgrammingError, connection
from django.db.migrations.recorder import MigrationRecorder

from daemon_programs.text import on_one_line
from fleet import database as hub
from fleet.models import Host
from hoody_site.access.groups import known_permissions, make_groups, permissions_of_models
from hoody_site.stack import migrations
from hoody_site.stack.schedules import make_schedules

FILE = settings.SQLITE_FILE
_MIGRATIONS = "django_migrations"
# Messages of an OperationalError that mean a damaged schema; other ones, such as a full disk, are temporary.
_NOT_WHOLE = ("no such table", "no such column", "already exists", "duplicate column", "does not exist")
_EMPTY = "it is empty"


class DatabaseUnusable(DatabaseError):
    """The database itself can't be used. The message says why, and how to go on."""


def _damaged(why: str) -> DatabaseUnusable:
    if settings.DATABASE_URL:
        return DatabaseUnusable(
            f"The database {_name()} can't be used ({why}): restore a backup ({settings.COMMAND} "
            "restore FILE), or name an empty database"
        )
    return DatabaseUnusable(
        f"The database {FILE} can't be used ({why}): restore a backup ({settings.COMMAND} restore FILE), or "
        f"move all {FILE}* away and start again, which loads the programs from {settings.PROGRAMS_FILE} and "
        "creates a new administrator and token, but loses other users, tokens and the history"
    )


def _name() -> object:
    """Return what a database is called in messages: its address holds a password."""
    return "of DAEMON_DATABASE_URL" if settings.DATABASE_URL else FILE


def _too_new(why: str) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"The database {_name()} {why}: run that version, or restore a backup that was made before the "
        f"upgrade ({settings.COMMAND} restore FILE)"
    )


def prepare() -> None:
    """Migrate the database, and create the user groups and schedules that every installation has."""
    check()
    known = known_permissions()
    migrate()
    for file in settings.STATE_DIR.glob(f"{FILE.name}*"):
        file.chmod(0o600)
    make_groups(known)
    make_schedules()


def prepare_hub(report: Callable[[str], object]) -> None:
    """Migrate the database that hubs share, if there is one; ``report`` why it can't be used at the moment.

    Only what is known of hosts is in it, so the stack starts without it.
    """
    try:
        hub.prepare()
    except hub.HubDatabaseUnusable as problem:
        report(f"{problem}. Until then this stack has no hosts.")
    except DatabaseError as problem:
        reason = on_one_line(problem)
        report(
            f"The database of DAEMON_HUB_DATABASE_URL can't be reached ({reason}): the programs of this "
            "stack run all the same, and its hosts are followed once that database is back."
        )


def check() -> None:
    """Raise DatabaseUnusable if the database is corrupt, empty, or of a later version.

    Raise OperationalError if it can't be reached.
    """
    if settings.DATABASE_URL:
        if later := _later(MigrationRecorder(connection).applied_migrations()):
            raise _too_new(later)
        return
    if not FILE.exists():
        return
    damage = damage_of(FILE)
    if damage == _EMPTY and not settings.DEFAULT_PROGRAMS_FILE.exists():
        return  # a first start was cut short
    if damage:
        raise _damaged(damage)
    if later := later_version_of(FILE):
        raise _too_new(later)


def damage_of(file: Path) -> str:
    """Return what is wrong with a database; an empty text if it is sound."""
    with closing(_open(file)) as database:
        try:
            [(verdict,)] = database.execute("PRAGMA quick_check(1)").fetchall()
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        except sqlite3.OperationalError as problem:
            raise OperationalError(str(problem)) from problem  # temporary, such as a full disk
        except sqlite3.DatabaseError as problem:
            return str(problem)
    if verdict != "ok":
        return " ".join(verdict.split())
    if _MIGRATIONS not in tables:
        return "it lacks tables" if tables else _EMPTY
    return ""


def later_version_of(file: Path) -> str:
    """Return that a sound database was made by a later version than this; an empty text if it wasn't."""
    with closing(_open(file)) as database:
        return _later(database.execute(f"SELECT app, name FROM {_MIGRATIONS}").fetchall())  # noqa: S608


def _later(applied: Iterable[tuple[str, str]]) -> str:
    later = [f"{app} {name}" for app, name in migrations.of_later_versions(applied)]
    return f"was made by a later version of this project (it has {', '.join(later)})" if later else ""


def copy_file(source: Path, copy: Path) -> None:
    """Copy a database, as it is at one moment, into a single file while others write to it."""
    with (
        closing(_open(source)) as original,
        closing(sqlite3.connect(copy)) as target,
    ):
        original.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")  # leaves no companion beside it


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=20)


def migrate() -> None:
    """Migrate the database to this version; raise DatabaseUnusable if tables or columns are missing."""
    _forget_tables_elsewhere()
    try:
        if not _is_migrated():
            call_command("migrate", verbosity=0, interactive=False)
    except (OperationalError, ProgrammingError) as problem:
        if any(words in str(problem) for words in _NOT_WHOLE):
            raise _damaged(str(problem)) from problem
        raise
    wanted = set(connection.introspection.django_table_names(include_views=False))
    if missing := sorted(wanted - set(connection.introspection.table_names())):
        raise _damaged(f"it lacks the table {missing[0]}")


def _forget_tables_elsewhere() -> None:
    """Have the tables of hosts made here, if they were in a shared database until now.

    Their migrations count as applied to both databases.
    """
    recorder = MigrationRecorder(connection)
    if settings.HUB_DATABASE_URL or not recorder.has_table():
        return
    if Host._meta.db_table not in connection.introspection.table_names():
        recorder.migration_qs.filter(app=hub.APP).delete()


def _is_migrated() -> bool:
    """Return whether nothing is left of a migration, as at most starts: Django takes long to find that out.

    It creates permissions after the last migration, so they are missing if it was interrupted.
    """
    applied = MigrationRecorder(connection).applied_migrations()
    return migrations.of_this_version() <= applied.keys() and permissions_of_models() <= known_permissions()
