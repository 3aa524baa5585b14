"""The scheduled tasks of the queue: a safety net for changes that no event has reported."""

from daemon_programs.history import store
from daemon_programs.maintenance.reconcile import log_differences, reconcile
from daemon_programs.models import KeptAnswer
from daemon_programs.webhooks import dispatch

# Name, function and interval in minutes. `hoody_site.stack.schedules` adds them when the stack starts.
SCHEDULES = [
    ("reconcile programs", "daemon_programs.tasks.reconcile_programs", 1),
    ("deliver webhooks", "daemon_programs.tasks.deliver_webhooks", 1),
    ("purge events", "daemon_programs.tasks.purge_events", 10),
    ("forget old answers", "daemon_programs.tasks.forget_answers", 60),
]


def deliver_webhooks() -> None:
    """Deliver the webhooks that are due."""
    dispatch.dispatch()


def purge_events() -> int:
    """Delete events that are too old or too many; return how many."""
    return store.purge()


def forget_answers() -> int:
    """Delete the answers to requests with a key that are too old; return how many."""
    return KeptAnswer.forget_old()


def reconcile_programs() -> list[str]:
    """Correct what differs from the database; return and log what that was."""
    return log_differences(reconcile())
