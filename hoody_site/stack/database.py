"""Check and migrate the database at the stack's start."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.loader import MigrationLoader

from hoody_site.access.groups import known_permissions, make_groups
from hoody_site.stack.schedules import make_schedules

_MIGRATIONS = "django_migrations"
# Messages of an OperationalError that mean a damaged schema; other ones, such as a full disk, are temporary.
_NOT_WHOLE = ("no such table", "no such column", "already exists", "duplicate column")


class DatabaseUnusable(DatabaseError):
    """The database itself is damaged. The message says how, and how to recover."""

    def __init__(self, why: str) -> None:
        file = settings.STATE_DIR / "db.sqlite3"
        super().__init__(
            f"The database {file} can't be used ({why}): restore a copy of it, or move all {file}* away and "
            f"start again, which loads the programs from {settings.PROGRAMS_FILE} and creates a new "
            "administrator and token, but loses other users, tokens and the history"
        )


def prepare() -> None:
    """Migrate the database, and create the user groups and schedules that every installation has."""
    check()
    known = known_permissions()
    migrate()
    for file in settings.STATE_DIR.glob("db.sqlite3*"):
        file.chmod(0o600)
    make_groups(known)
    make_schedules()


def check() -> None:
    """Raise DatabaseUnusable if the database is corrupt, empty, or from a later version."""
    file = settings.STATE_DIR / "db.sqlite3"
    if not file.exists():
        return
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=20)) as database:
        try:
            [(verdict,)] = database.execute("PRAGMA quick_check(1)").fetchall()
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        except sqlite3.OperationalError as problem:
            raise OperationalError(str(problem)) from problem  # temporary, such as a full disk
        except sqlite3.DatabaseError as problem:
            raise DatabaseUnusable(str(problem)) from problem
    if verdict != "ok":
        raise DatabaseUnusable(" ".join(verdict.split()))
    if _MIGRATIONS not in tables and (tables or settings.DEFAULT_PROGRAMS_FILE.exists()):
        raise DatabaseUnusable("it is empty" if not tables else "it lacks tables")
    if newer := sorted(_newer_migrations()):
        raise DatabaseUnusable(f"it was made by a later version: {', '.join(newer)}")


def _newer_migrations() -> Iterator[str]:
    """Yield the applied migrations that this version does not have."""
    loader = MigrationLoader(connection)
    for app, name in loader.applied_migrations:
        if app in loader.migrated_apps and (app, name) not in loader.disk_migrations:
            yield f"{app} {name}"


def migrate() -> None:
    """Migrate the database to this version; raise DatabaseUnusable if tables or columns are missing."""
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except OperationalError as problem:
        if any(words in str(problem) for words in _NOT_WHOLE):
            raise DatabaseUnusable(str(problem)) from problem
        raise
    wanted = set(connection.introspection.django_table_names(include_views=False))
    if missing := sorted(wanted - set(connection.introspection.table_names())):
        raise DatabaseUnusable(f"it lacks the table {missing[0]}")
