"""What django-q2 calls on schedule for temporary programs: the safety net, and retention."""

import logging

from quick_start import lifecycle

logger = logging.getLogger(__name__)

# Name, function, minutes: see `hoody_site.stack`.
SCHEDULES = [
    ("reconcile temporary programs", "quick_start.tasks.reconcile_temporary_programs", 1),
    ("purge temporary programs", "quick_start.tasks.purge_temporary_programs", 1),
]


def reconcile_temporary_programs() -> list[str]:
    mended = lifecycle.reconcile()
    for sentence in mended:
        logger.warning("Reconciled: %s", sentence)
    return mended


def purge_temporary_programs() -> int:
    return lifecycle.purge_outdated()
