"""Scheduled tasks of temporary programs: reconciliation and retention."""

from daemon_programs.maintenance.reconcile import log_differences
from quick_start import lifecycle

# Name, function, minutes between runs; `hoody_site.stack.schedules` creates the schedules.
SCHEDULES = [
    ("reconcile temporary programs", "quick_start.tasks.reconcile_temporary_programs", 1),
    ("purge temporary programs", "quick_start.tasks.purge_temporary_programs", 1),
]


def reconcile_temporary_programs() -> list[str]:
    """Repair differences, log them, and return them as sentences."""
    return log_differences(lifecycle.reconcile())


def purge_temporary_programs() -> int:
    """Purge outdated records, and return their number."""
    return lifecycle.purge_outdated()
