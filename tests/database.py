"""The database of a stack, whichever engine has it: tests look into it and change it beside the API.

With ``TEST_POSTGRES_URL``, the address of a server without a database, each stack has a database there; with
``TEST_REDIS_URL`` its queue is in Redis. `tests.servers` starts both, and says so.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from daemon_programs.transactions import WRITERS

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "")
REDIS = os.environ.get("TEST_REDIS_URL", "")
# For tests of what only a file can be: damaged, replaced, on a full disk.
on_embedded = pytest.mark.skipif(bool(POSTGRES), reason="it is about the embedded engines")
on_sqlite = pytest.mark.skipif(bool(POSTGRES), reason="it is about the database as a file")

# The end of a time as the database takes it from text.
UTC = "+00:00" if POSTGRES else ""


class Database:
    """A connection of a test's own. What it changes is committed at the end of the block that opened it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._is_file = isinstance(connection, sqlite3.Connection)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement with ``?`` for each parameter; return the cursor."""
        if not self._is_file:
            sql = sql.replace("%", "%%").replace("?", "%s")
        return self._connection.execute(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Return rows by the names of their columns."""
        cursor = self.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def keep_writers_waiting(self) -> None:
        """Be in the middle of a change until the end of the block; raise OperationalError if another is."""
        if self._is_file:
            self._connection.isolation_level = None
            self.execute("BEGIN IMMEDIATE")
        else:
            self.execute("SET lock_timeout = '100ms'")
            self.execute("SELECT pg_advisory_xact_lock(?)", [WRITERS])


OperationalError = (sqlite3.OperationalError, psycopg.OperationalError)


@contextlib.contextmanager
def opened(folder: Path, timeout: float = 20) -> Iterator[Database]:
    """Open the database of the stack in a state folder."""
    connection: Any = (
        psycopg.connect(url_of(folder))
        if POSTGRES
        else sqlite3.connect(folder / "db.sqlite3", timeout=timeout)
    )
    with contextlib.closing(connection), connection:
        yield Database(connection)


def environment_of(folder: Path) -> dict[str, str]:
    """Return the settings with which a stack uses the engines of the tests; none for the embedded ones."""
    return {
        **({"DAEMON_DATABASE_URL": url_of(folder)} if POSTGRES else {}),
        **({"DAEMON_BROKER_URL": f"{REDIS}/0"} if REDIS else {}),
    }


def url_of(folder: Path) -> str:
    return f"{POSTGRES}/{_name_of(folder)}"


def create(folder: Path, template: Path | None = None) -> None:
    """Create the database of a state folder on the server, unless it exists; as a copy of another one."""
    statement = "CREATE DATABASE {}" if template is None else "CREATE DATABASE {} TEMPLATE {}"
    names = [_name_of(folder), *([_name_of(template)] if template else [])]
    with _server() as server, contextlib.suppress(psycopg.errors.DuplicateDatabase):
        server.execute(SQL(statement).format(*map(Identifier, names)))


def drop(folder: Path) -> None:
    with _server() as server:
        server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(_name_of(folder))))


def _server() -> Any:
    return psycopg.connect(f"{POSTGRES}/postgres", autocommit=True)


def _name_of(folder: Path) -> str:
    return str(folder).strip("/").replace("/", "_")[-60:]
