"""What django-q2 calls on schedule: one call each. A safety net, never a clock."""

import logging

from daemon_programs.reconcile import reconcile

logger = logging.getLogger(__name__)

# Name, function, minutes. The stack's start makes the schedules of these (`hoody_site.stack`).
SCHEDULES = [("reconcile programs", "daemon_programs.tasks.reconcile_programs", 1)]


def reconcile_programs() -> list[str]:
    mended = reconcile()
    for sentence in mended:
        logger.warning("Reconciled: %s", sentence)
    return mended
