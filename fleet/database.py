"""The database of hosts: the stack's own, or one that several hubs share (``DAEMON_HUB_DATABASE_URL``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connections, router, transaction
from django.utils import timezone

HUB = "hub"  # the alias of a shared database
APP = "fleet"
# The numbers of the locks in the database, chosen once.
_RECORDERS = 7_301_977_247
_MIGRATORS = 7_301_977_248


class HubDatabaseUnusable(DatabaseError):
    """The shared database can't be used by this version. The message says why, and how to go on."""


class HubRouter:
    """Lead the models of hosts to the shared database, and all others to the stack's own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return the alias for a model of hosts; None for others."""
        return HUB if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Return whether the tables of an app belong into a database."""
        return (db == HUB) == (app_label == APP)


def prepare() -> None:
    """Migrate the shared database, if there is one; hubs that start at the same time do so in turn.

    Raise HubDatabaseUnusable if it is of a later version, and OperationalError if it can't be reached.
    """
    if HUB not in settings.DATABASES:
        return
    from django.core.management import call_command

    with connections[HUB].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_MIGRATORS])
        try:
            if later := _later():
                raise HubDatabaseUnusable(
                    "The database of DAEMON_HUB_DATABASE_URL was made by a later version of this project "
                    f"(it has {', '.join(later)}): run that version"
                )
            call_command("migrate", APP, database=HUB, verbosity=0, interactive=False)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_MIGRATORS])


def _later() -> list[str]:
    """Return the migrations of the shared database that this version does not know."""
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.recorder import MigrationRecorder

    known = MigrationLoader(None).disk_migrations
    applied = MigrationRecorder(connections[HUB]).applied_migrations()
    return sorted(f"{app} {name}" for app, name in applied if app == APP and (app, name) not in known)


def alias() -> str:
    """Return the alias of the database of hosts."""
    from fleet.models import Host

    return router.db_for_write(Host)


def is_shared() -> bool:
    """Return whether other hubs may share the database of hosts."""
    return alias() == HUB


def now() -> datetime:
    """Return the time by the clock of the database of hosts, by which hubs compare times."""
    if not _has_clock():
        return timezone.now()
    with connections[alias()].cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def clock_ahead() -> timedelta:
    """Return by how much the clock of the database of hosts is ahead of that of this hub."""
    return now() - timezone.now() if _has_clock() else timedelta()


def _has_clock() -> bool:
    """Return whether the database has a clock of its own; a file has that of its only hub."""
    return connections[alias()].vendor == "postgresql"


def atomic() -> Any:
    """Return a transaction of the database of hosts."""
    return transaction.atomic(using=alias())


@contextmanager
def recording() -> Iterator[None]:
    """Run a block in a transaction while no other process records.

    So rows become visible in the order of their ids, which cursors and streams rely on. SQLite has one writer
    at a time by itself.
    """
    connection = connections[alias()]
    with atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_RECORDERS])
        yield
