"""Have the queue drive roll-outs: at once, and every minute as long as there are any."""

import logging

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from fleet import database
from fleet.models import Rollout

logger = logging.getLogger(__name__)

# Name, function and interval in minutes.
DRIVE = ("drive roll-outs", "fleet.tasks.drive_rollouts", 1)


def schedules() -> list[tuple[str, str, int]]:
    """Return the schedules that a stack needs from its start on.

    A stack without roll-outs needs none. Where several hubs share a database, each goes on with what another
    one has begun.
    """
    is_needed = database.is_shared() or Rollout.objects.active().exists()
    return [DRIVE] if is_needed else []


def drive_soon() -> None:
    """Tell the queue that there is something to do; the schedule makes up for what is lost."""
    if not Rollout.objects.active().exists():
        return
    from django_q.models import Schedule
    from django_q.tasks import async_task

    name, function, minutes = DRIVE
    Schedule.objects.get_or_create(
        name=name,
        defaults={
            "func": function,
            "schedule_type": Schedule.MINUTES,
            "minutes": minutes,
            "next_run": timezone.now(),
        },
    )
    try:
        async_task(function, save=False)
    except _away():
        logger.exception("The queue can't be told of a roll-out at the moment")


def drive_no_more() -> None:
    """Remove the schedule: nothing is under way, and no other hub can begin with anything."""
    from django_q.models import Schedule

    Schedule.objects.filter(name=DRIVE[0]).delete()


def _away() -> tuple[type[Exception], ...]:
    """Return the exceptions that say that the queue's database or Redis is away."""
    if not settings.BROKER_URL:
        return (DatabaseError, OSError)
    from redis import RedisError

    return (DatabaseError, OSError, RedisError)
