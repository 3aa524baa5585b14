"""What is derived from all programs, kept until a row changes.

Reconciliation looks at everything once a minute, and most times nothing has changed: to read the rows takes a
small part of the time that it takes to make all files from them again.
"""

import hashlib
from collections.abc import Callable
from typing import Generic, TypeVar

from django.db import connection

from daemon_programs.models import Program

T = TypeVar("T")


class Kept(Generic[T]):
    """The value of a function that depends on nothing but the rows of all programs."""

    def __init__(self, derive: Callable[[], T]) -> None:
        self._derive = derive
        self._kept: tuple[bytes, T] | None = None  # in one piece, since threads share it

    def __call__(self) -> T:
        """Return the value, derived again if a row has changed."""
        # First, so that a change meanwhile has it derived again the next time.
        version = _version_of_rows()
        kept = self._kept
        if kept is None or kept[0] != version:
            kept = self._kept = version, self._derive()
        return kept[1]


def _version_of_rows() -> bytes:
    """Return a digest of all rows. Not their ``hash``, which is the same for -1 and -2."""
    table = connection.ops.quote_name(Program._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608  the name is a constant
        return hashlib.blake2b(repr(cursor.fetchall()).encode(), digest_size=16).digest()
