"""One way to write: the database, the configuration folder and supervisord change together or not.

Everything that changes programs does it inside ``write_transaction``. Whatever it has already
changed outside the database registers how to undo it; an error undoes all of it and rolls back.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import transaction

from daemon_programs.exceptions import Busy

logger = logging.getLogger(__name__)

# One writer at a time within a process: SQLite would let them take turns by sleeping.
_lock = threading.Lock()
_PATIENCE_SECONDS = 15
_local = threading.local()


@contextmanager
def write_transaction() -> Iterator[None]:
    """A database transaction that also undoes what it did elsewhere. May be nested."""
    if getattr(_local, "undo", None) is not None:
        yield
        return
    if not _lock.acquire(timeout=_PATIENCE_SECONDS):
        raise Busy("Other changes take too long at the moment; nothing was changed")
    _local.undo = []
    try:
        with transaction.atomic():
            yield
    except BaseException:
        _undo(_local.undo)
        raise
    finally:
        _local.undo = None
        _lock.release()


def on_failure(undo: Callable[[], None]) -> None:
    """Register what is to be called if the transaction under way fails."""
    _local.undo.append(undo)


def _undo(steps: list[Callable[[], None]]) -> None:
    for step in reversed(steps):
        try:
            step()
        except Exception:
            # The first error is the one to tell; reconciliation brings in line what is left.
            logger.exception("A change could not be undone")
