"""Read programs from the database, and build only those again whose row has changed."""

import threading
from typing import Any

from django.db import connection

from daemon_programs.models.program import Program
from daemon_programs.prepared import Prepared, Row

_MOST_KEPT = 2000


class _Seen(threading.local):
    """All programs as a thread has last read them, and the version of the database that they are of."""

    version: Any = None
    programs: list[Program] = []


class Rows:
    """The programs that were made from rows, by id.

    Each read queries the database, and a row is compared as a whole. So a program is never older than the
    read, whatever has changed it. All rows are only fetched if anything was written since the thread has last
    done so. The programs are shared by all requests: they are only to be read.
    """

    def __init__(self) -> None:
        self._all = Prepared(lambda: Program.objects.order_by("id"))
        self._one = Prepared(lambda: Program.objects.filter(pk=0).order_by())
        self._made: dict[int, tuple[Row, Program]] = {}
        self._seen = _Seen()

    def all(self) -> list[Program]:
        """Return all programs, in id order."""
        version = _version()  # first: what is written meanwhile makes it another one
        if version is not None and version == self._seen.version:
            return list(self._seen.programs)
        made = self._of(self._all.rows())
        programs = [program for _, program in made.values()]
        self._made = made  # last: from now on, other threads add to it
        self._seen.version, self._seen.programs = version, programs
        return list(programs)

    def one(self, id: int) -> Program | None:
        """Return the program with an id; None if there is none."""
        made = self._of(self._one.rows(id))
        if len(self._made) > _MOST_KEPT:  # some were removed since all were read
            self._made = {}
        self._made.update(made)
        return made[id][1] if made else None

    def _of(self, rows: list[Row]) -> dict[int, tuple[Row, Program]]:
        """Return rows with their programs by id, in their order."""
        kept, new = {}, []
        for row in rows:
            known = self._made.get(row[0])  # the id is the first column
            if known is not None and known[0] == row:
                kept[row[0]] = known
            else:
                new.append(row)
        made = {row[0]: (row, program) for row, program in zip(new, self._all.objects(new), strict=True)}
        return {row[0]: kept.get(row[0]) or made[row[0]] for row in rows}


def _version() -> Any:
    """Return what differs after any write to the database; None in a transaction, which may be rolled back.

    SQLite counts what other connections have committed, and the connection what it has written itself.
    PostgreSQL numbers the transactions that write: a snapshot tells those that it sees from all others.
    """
    if connection.in_atomic_block:
        return None
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_current_snapshot()::text")
            return cursor.fetchone()
        cursor.execute("PRAGMA data_version")
        (committed,) = cursor.fetchone()
        return connection.connection, committed, connection.connection.total_changes


rows = Rows()
