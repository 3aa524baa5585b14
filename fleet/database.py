"""The database of hosts: the stack's own, or one that several hubs share (``DAEMON_HUB_DATABASE_URL``)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, router, transaction

HUB = "hub"  # the alias of a shared database
APP = "fleet"
_RECORDERS = 7_301_977_247  # the number of the lock in the database, chosen once


class HubRouter:
    """Lead the models of hosts to the shared database, and all others to the stack's own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return the alias for a model of hosts; None for others."""
        return HUB if model._meta.app_label == APP else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Return whether the tables of an app belong into a database."""
        return (db == HUB) == (app_label == APP)


def alias() -> str:
    """Return the alias of the database of hosts."""
    from fleet.models import Host

    return router.db_for_write(Host)


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
