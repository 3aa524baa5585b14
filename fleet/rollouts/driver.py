"""Drive the roll-outs that are under way: a thread of the queue, which exists only as long as there are any.

It has no memory: what is to be done is read from the rows each time, and each step is a task of the queue.
Where hubs share a database it stays, and looks now and then: it goes on with what another hub has begun, and
with the parts of one that has died as soon as their leases end.
"""

import logging
import threading
from datetime import timedelta

from django.db import connections
from django_q.tasks import async_task

from fleet import database
from fleet.models import Rollout, RolloutPart
from fleet.rollouts import handing, parts

logger = logging.getLogger(__name__)

_STEP = "fleet.tasks.carry_out_part"
_PAUSE_SECONDS = 0.5
_PAUSE_AFTER_ERROR_SECONDS = 2.0
_IDLE_SECONDS = 5.0  # between looks for what other hubs have begun
_AGAIN = timedelta(seconds=10)  # when a task that is not begun until then may have been lost

_lock = threading.Lock()
_awake = threading.Event()
_thread: threading.Thread | None = None


def start() -> None:
    """Have roll-outs driven, and look at them now."""
    global _thread
    with _lock:
        _awake.set()
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_drive, name="rollouts", daemon=True)
            _thread.start()


def look() -> bool:
    """Hand out what may be begun, and have the next steps taken; return whether any roll-out is under way."""
    under_way = list(Rollout.objects.active().values_list("pk", flat=True))
    for id in under_way:
        handing.advance(id)
    _queue_steps()
    return bool(under_way)


def _drive() -> None:
    is_first, is_failing = True, False
    while True:
        _awake.clear()
        pause = _PAUSE_SECONDS
        try:
            if is_first:
                parts.release_left_over()
                is_first = False
            if not look():
                if not database.is_shared() and _ends():
                    return
                pause = _IDLE_SECONDS
            is_failing = False
        except Exception:  # such as a database or a broker that is away: what is to be done stays in the rows
            if not is_failing:
                logger.exception("Roll-outs can't be driven at the moment")
            is_failing = True
            pause = _PAUSE_AFTER_ERROR_SECONDS
            connections.close_all()
        _awake.wait(pause)


def _ends() -> bool:
    """Return whether the thread may end: no look was asked for since the last one began."""
    global _thread
    with _lock:
        if _awake.is_set():
            return False
        _thread = None
    connections.close_all()
    return True


def _queue_steps() -> None:
    now = database.now()
    due = RolloutPart.objects.filter(parts.is_free(), state=RolloutPart.State.RUNNING, due_at__lte=now)
    for id, rollout_id, host in due.values_list("pk", "rollout_id", "host"):
        RolloutPart.objects.filter(pk=id, due_at__lte=now).update(due_at=now + _AGAIN)
        async_task(_STEP, id, task_name=f"roll-out {rollout_id}: {host}", save=False)
