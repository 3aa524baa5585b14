"""Scheduled tasks of the site: remove records that nothing else removes."""

from datetime import timedelta

from django.core.management import call_command
from django.utils import timezone
from django_q.models import Failure

from fleet.passing import history

# Name, function, minutes between runs; `hoody_site.stack.schedules` creates the schedules.
SCHEDULES = [("remove what is outdated", "hoody_site.tasks.remove_outdated", 24 * 60)]

_FAILURES_KEPT = timedelta(days=7)


def remove_outdated() -> None:
    """Remove expired sessions, old calls of hosts, and old failures of tasks.

    django-q2 limits only the number of successes.
    """
    call_command("clearsessions")
    history.purge()
    Failure.objects.filter(stopped__lt=timezone.now() - _FAILURES_KEPT).delete()
