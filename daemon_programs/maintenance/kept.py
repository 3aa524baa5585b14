"""What is derived from all programs, kept until a row changes.

Reconciliation looks at everything once a minute, and most times nothing has changed: to read the rows takes a
small part of the time that it takes to make all files anew from them.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connection

from daemon_programs.models import Program

T = TypeVar("T")


class Kept(Generic[T]):
    """The value of a function that depends on nothing but the rows of all programs."""

    def __init__(self, derive: Callable[[], T]) -> None:
        self._derive = derive
        self._version: int | None = None
        self._value: T

    def __call__(self) -> T:
        """Return the value, derived anew if a row has changed."""
        version = _version_of_rows()  # first, so that a change meanwhile has it derived again the next time
        if version != self._version:
            self._value, self._version = self._derive(), version
        return self._value


def _version_of_rows() -> int:
    """Return a number that differs if any column of any program does, within this process."""
    table = connection.ops.quote_name(Program._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608  the name is a constant
        return hash(tuple(cursor.fetchall()))
