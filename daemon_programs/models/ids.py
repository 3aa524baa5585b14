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
        cursor.execute(
            f"SELECT setval(%s::regclass, highest) FROM (SELECT max(id) AS highest FROM {table}) AS ids "  # noqa: S608
            f"WHERE highest > (SELECT last_value FROM {sequence}) OR highest = 1",
            [sequence],
        )
