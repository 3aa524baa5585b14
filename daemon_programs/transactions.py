"""Change the database, the configuration folder and supervisord together, or not at all.

All changes of programs are made in a ``write_transaction``. A change outside of the database registers
how to undo it (``on_failure``); an error undoes these changes and rolls back the database.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from daemon_programs.exceptions import Busy

logger = logging.getLogger(__name__)

# One writer per process at a time: SQLite itself has writers sleep and retry.
_lock = threading.Lock()
_PATIENCE_SECONDS = 15
_local = threading.local()


WRITERS = 7_301_977_246  # the number of the lock in the database, chosen once


@contextmanager
def exclusive_transaction() -> Iterator[None]:
    """Run a block in a database transaction while no other process does.

    So what was read stays true until it is written, and rows become visible in the order of their ids, on
    which streams rely. SQLite has one writer at a time by itself.
    """
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITERS])
        yield


@contextmanager
def write_transaction() -> Iterator[None]:
    """Run a block in a database transaction that also undoes changes made elsewhere. May be nested.

    Raise Busy if other transactions take too long.
    """
    if is_open():
        yield
        return
    if not _lock.acquire(timeout=_PATIENCE_SECONDS):
        raise Busy("Other changes take too long at the moment; nothing was changed")
    _local.undo, _local.given_up = [], []
    try:
        with exclusive_transaction():
            yield
    except BaseException:
        _undo(_local.undo)
        raise
    finally:
        _local.undo = None
        _lock.release()


def on_failure(undo: Callable[[], None]) -> None:
    """Register a call that undoes a change if the current transaction fails."""
    _local.undo.append(undo)


def give_up(service: object) -> None:
    """Remember, until the current transaction ends, that a service does not answer.

    Each further call would wait as long as the first one, while the transaction keeps all others waiting.
    """
    if is_open():
        _local.given_up.append(service)


def has_given_up(service: object) -> bool:
    """Return whether a service did not answer in the current transaction."""
    return is_open() and any(each is service for each in _local.given_up)


def is_open() -> bool:
    """Return whether this thread is in a transaction."""
    return getattr(_local, "undo", None) is not None


def _undo(steps: list[Callable[[], None]]) -> None:
    for step in reversed(steps):
        try:
            step()
        except Exception:
            # The first error is the one to report; reconciliation corrects what is not undone.
            logger.exception("A change could not be undone")
