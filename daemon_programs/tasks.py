"""What django-q2 calls on schedule: one call each. A safety net, never a clock."""

from daemon_programs.history import store
from daemon_programs.maintenance import orphaned_processes
from daemon_programs.maintenance.reconcile import logged, reconcile
from daemon_programs.webhooks import dispatch

# Name, function, minutes. The stack's start makes the schedules of these (`hoody_site.stack.start`).
SCHEDULES = [
    ("reconcile programs", "daemon_programs.tasks.reconcile_programs", 1),
    ("end strays", "daemon_programs.tasks.end_strays", 1),
    ("deliver webhooks", "daemon_programs.tasks.deliver_webhooks", 1),
    ("purge events", "daemon_programs.tasks.purge_events", 10),
]


def deliver_webhooks() -> None:
    dispatch.dispatch()


def purge_events() -> int:
    return store.purge()


def reconcile_programs() -> list[str]:
    return logged(reconcile())


def end_strays() -> list[str]:
    return logged(orphaned_processes.end())
