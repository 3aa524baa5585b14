"""Copy all rows from one database to another, of whichever engine: for moves, and for backups.

Both have the tables of this version. Ids stay, and so does what the next ones will be. What is in a database
that hubs share is left out.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.db.models import Model

from daemon_programs.models import ids
from hoody_site import engines

_FILE_ALIAS = "file"
_ROWS = 500  # in memory at a time


def copy_to_file(file: Path) -> None:
    """Copy the configured database, as it is at one moment, into a new SQLite file."""
    with _opened(file):
        call_command("migrate", database=_FILE_ALIAS, verbosity=0, interactive=False)
        _copy(DEFAULT_DB_ALIAS, _FILE_ALIAS)
        _close_into_one_file()


def copy_from_file(file: Path) -> None:
    """Replace all rows of the configured database by those of an SQLite file, as a whole or not at all.

    The file may be of an earlier version: its tables are migrated.
    """
    with _opened(file):
        call_command("migrate", database=_FILE_ALIAS, verbosity=0, interactive=False)
        _copy(_FILE_ALIAS, DEFAULT_DB_ALIAS)
        _close_into_one_file()


@contextmanager
def _opened(file: Path) -> Iterator[None]:
    """Give a file the alias by which Django knows it."""
    known: Any = connections
    known.settings[_FILE_ALIAS] = known.configure_settings(
        {DEFAULT_DB_ALIAS: settings.DATABASES["default"], _FILE_ALIAS: engines.sqlite(file)}
    )[_FILE_ALIAS]
    try:
        yield
    finally:
        connections[_FILE_ALIAS].close()
        del connections[_FILE_ALIAS]
        del known.settings[_FILE_ALIAS]


def _close_into_one_file() -> None:
    with connections[_FILE_ALIAS].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=DELETE")  # leaves no companion beside it


def _copy(source: str, target: str) -> None:
    models = apps.get_models(include_auto_created=True)
    tables = [
        model
        for model in models
        if model._meta.managed and not model._meta.proxy and router.allow_migrate_model(target, model)
    ]
    with ExitStack() as both:
        both.enter_context(_one_moment(source))
        both.enter_context(transaction.atomic(using=target))
        for model in tables:
            model._base_manager.using(target)._raw_delete(target)
        for model in tables:
            _copy_rows(model, source, target)
        _continue_ids(tables, _last_ids(tables, source), target)


@contextmanager
def _one_moment(alias: str) -> Iterator[None]:
    """Read everything as it is at the beginning. With SQLite, a transaction does so by itself."""
    with transaction.atomic(using=alias):
        if connections[alias].vendor == "postgresql":
            with connections[alias].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _copy_rows(model: type[Model], source: str, target: str) -> None:
    fields = list(model._meta.concrete_fields)
    at_a_time = min(_ROWS, connections[target].ops.bulk_batch_size(fields, [None] * _ROWS))
    insert = model._base_manager.using(target)._insert  # type: ignore[attr-defined]
    rows: list[Model] = []
    for row in model._base_manager.using(source).order_by("pk").iterator(chunk_size=_ROWS):
        rows.append(row)
        if len(rows) == at_a_time:
            insert(rows, fields=fields, using=target, raw=True)  # as it is stored: `auto_now` sets no time
            rows = []
    if rows:
        insert(rows, fields=fields, using=target, raw=True)


def _last_ids(models: list[type[Model]], alias: str) -> dict[str, int]:
    """Return the highest id that was ever given, by table. It may be gone, and is not given again."""
    with connections[alias].cursor() as cursor:
        if connections[alias].vendor == "postgresql":
            return {model._meta.db_table: ids.last_id(model, cursor) for model in models}
        cursor.execute("SELECT name, seq FROM sqlite_sequence")
        return dict(cursor.fetchall())


def _continue_ids(models: list[type[Model]], last: dict[str, int], alias: str) -> None:
    """Have the next ids be those after the last ones."""
    with connections[alias].cursor() as cursor:
        if connections[alias].vendor == "postgresql":
            for model in models:
                ids.continue_after(model, last.get(model._meta.db_table, 0), cursor)
            return
        for table, value in last.items():
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, value])
