"""The numbers that rows get as their ids.

SQLite gives none again that was given or asked for. PostgreSQL counts only what it has given itself, and the
count of each table is a *sequence*.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Model


def catch_up(model: type[Model]) -> None:
    """Have the next id be higher than all that there are, some of which may have been asked for."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT max(id) FROM {connection.ops.quote_name(model._meta.db_table)}")  # noqa: S608
        [(highest,)] = cursor.fetchall()
        if highest is not None and highest > last_id(model, cursor):
            continue_after(model, highest, cursor)


def last_id(model: type[Model], cursor: Any) -> int:
    """Return the highest id that PostgreSQL has given to a row of a table; 0 if there is none."""
    if (sequence := _sequence_of(model, cursor)) is None:
        return 0
    cursor.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")  # noqa: S608
    [(last,)] = cursor.fetchall()
    return int(last)


def continue_after(model: type[Model], last: int, cursor: Any) -> None:
    """Have PostgreSQL count on from an id."""
    if last and (sequence := _sequence_of(model, cursor)) is not None:
        cursor.execute("SELECT setval(%s::regclass, %s)", [sequence, last])


def _sequence_of(model: type[Model], cursor: Any) -> str | None:
    """Return the name of a table's sequence; None if its ids are not numbers that are given."""
    arguments = [f'"{model._meta.db_table}"', model._meta.pk.column]
    cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", arguments)
    [(sequence,)] = cursor.fetchall()
    return None if sequence is None else str(sequence)
