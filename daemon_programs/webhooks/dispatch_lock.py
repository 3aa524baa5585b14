"""Coordinate the dispatch of webhooks between processes: request one, lock it, and end it.

After adding to the outbox, a process requests a dispatch from the queue, unless one is queued or
running. So five thousand events don't make five thousand tasks. A dispatch checks the outbox again after
it has released the lock, so nothing is missed that was committed while it held the lock.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django_q.tasks import async_task

from daemon_programs import queue

_TASK = "daemon_programs.tasks.deliver_webhooks"
_LOCK_TIMEOUT_SECONDS = 0.5  # other processes hold the lock for a moment to check whether it is free

_ending: list[bool] = []  # not empty when a dispatch is to end; not an Event, which no signal handler may set


def request_dispatch() -> None:
    """Queue a dispatch, unless one is queued or running."""
    if not _is_running() and not _is_queued():
        async_task(_TASK)


@contextmanager
def exclusive_dispatch() -> Iterator[bool]:
    """Hold the lock of the dispatch; give False if another process has it.

    The system releases the lock of a process that is killed.
    """
    with _lock_file() as descriptor:
        deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
        while not (is_held := _lock(descriptor, fcntl.LOCK_EX)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield is_held


def request_end() -> None:
    """Have a running dispatch end, because the queue is being stopped. Called by its signal handler."""
    _ending.append(True)


def is_ending() -> bool:
    """Return whether the queue is being stopped."""
    return bool(_ending)


def _is_running() -> bool:
    with _lock_file() as descriptor:
        return not _lock(descriptor, fcntl.LOCK_SH)


def _is_queued() -> bool:
    """Return whether a dispatch is in the queue, not counting one that has been started."""
    return any(task["func"] == _TASK for task in queue.waiting())


@contextmanager
def _lock_file() -> Iterator[int]:
    descriptor = os.open(settings.WEBHOOKS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # releases the lock


def _lock(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
