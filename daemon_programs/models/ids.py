"""The numbers that rows get as their ids."""

from django.db import connection
from django.db.models import Model


def catch_up(model: type[Model]) -> None:
    """Have the next id be higher than all that there are, some of which may have been asked for.

    SQLite sees to that by itself; PostgreSQL counts only what it has given.
    """
    if connection.vendor != "postgresql":
        return
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
        [(sequence,)] = cursor.fetchall()
        cursor.execute(f"SELECT last_value, is_called, (SELECT max(id) FROM {table}) FROM {sequence}")  # noqa: S608
        [(last, is_given, highest)] = cursor.fetchall()
        if highest is not None and (highest > last or (highest == last and not is_given)):
            cursor.execute("SELECT setval(%s::regclass, %s)", [sequence, highest])
