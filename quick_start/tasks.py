"""What django-q2 calls on schedule for temporary programs: the safety net, and retention."""

from daemon_programs.maintenance.reconcile import logged
from quick_start import lifecycle

# Name, function, minutes: see `hoody_site.stack.start`.
SCHEDULES = [
    ("reconcile temporary programs", "quick_start.tasks.reconcile_temporary_programs", 1),
    ("purge temporary programs", "quick_start.tasks.purge_temporary_programs", 1),
]


def reconcile_temporary_programs() -> list[str]:
    return logged(lifecycle.reconcile())


def purge_temporary_programs() -> int:
    return lifecycle.purge_outdated()
