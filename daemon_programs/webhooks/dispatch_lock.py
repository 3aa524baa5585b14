"""What processes tell each other about the dispatch of webhooks: that there is work, that one is at
work, that work has to end.

Who has put something into the outbox asks the queue for a dispatch, unless one is asked for or under
way. So five thousand events don't make five thousand tasks; and since a dispatch looks into the outbox
again once it has freed the lock, nothing that is committed while it was held is forgotten.
"""

import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

_TASK = "daemon_programs.tasks.deliver_webhooks"
_PATIENCE_SECONDS = 0.5  # others hold the lock for a moment, to see whether it is held

# One byte that the queue's processes share, since they are forked: set when they are to end.
_ending = mmap.mmap(-1, 1)


def ask_for_dispatch() -> None:
    """Have the queue look into the outbox, unless somebody is going to anyway."""
    if not _is_under_way() and not _is_asked_for():
        async_task(_TASK)


@contextmanager
def only_one() -> Iterator[bool]:
    """Hold the lock of the dispatch; False if another one has it. The system frees that of a killed one."""
    with _lock_file() as descriptor:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (is_held := _lock(descriptor, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield is_held


def end_soon() -> None:
    """Tell a dispatch under way to end: the queue is being stopped. Called in its main process."""
    _ending[0] = 1


def is_ending() -> bool:
    return _ending[0] == 1


def _is_under_way() -> bool:
    with _lock_file() as descriptor:
        return not _lock(descriptor, fcntl.LOCK_SH)


def _is_asked_for() -> bool:
    """Whether a dispatch waits in the queue; one that was taken from it may have looked already."""
    return any(task.func() == _TASK for task in OrmQ.objects.filter(lock__lte=timezone.now()))


@contextmanager
def _lock_file() -> Iterator[int]:
    descriptor = os.open(settings.WEBHOOKS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # which frees it


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
