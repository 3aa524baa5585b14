"""Correct times that lie further ahead than they can: the clock of the host was set back.

Schedules, queued tasks and deliveries that wait for such a time would wait for as long as the clock was set
back. The queue calls this before it looks for what is due.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from daemon_programs.models import Delivery
from daemon_programs.webhooks.deliveries import LONGEST_BACK_OFF

logger = logging.getLogger(__name__)

_QUEUE_RETRY = timedelta(seconds=settings.Q_CLUSTER["retry"])  # for so long a running task is locked
_TOLERANCE = timedelta(seconds=5)


def correct() -> int:
    """Make due at once what is planned for later than its longest interval; return how much that was."""
    now = timezone.now()
    latest = now + _TOLERANCE
    late = [
        schedule.pk
        for schedule in Schedule.objects.filter(schedule_type=Schedule.MINUTES, next_run__gt=latest)
        if schedule.next_run > latest + timedelta(minutes=schedule.minutes)
    ]
    pending = Delivery.objects.pending()
    corrected = sum(
        (
            _update(Schedule.objects.filter(pk__in=late), next_run=now),
            _update(OrmQ.objects.filter(lock__gt=latest + _QUEUE_RETRY), lock=now),
            _update(pending.filter(next_attempt_at__gt=latest + LONGEST_BACK_OFF), next_attempt_at=now),
            _update(pending.filter(queued_at__gt=latest), queued_at=now),
        )
    )
    if corrected:
        logger.warning("The clock was set back: %d planned times were corrected", corrected)
    return corrected


def _update(rows: QuerySet[Any], **values: datetime) -> int:
    """Update rows, and return their number; write nothing if there are none, which would wait for others."""
    return rows.update(**values) if rows.exists() else 0
