"""What django-q2 calls on schedule for the site: what neither it nor Django removes by itself."""

from datetime import timedelta

from django.core.management import call_command
from django.utils import timezone
from django_q.models import Failure

# Name, function, minutes: see `hoody_site.stack.start`.
SCHEDULES = [("remove what is outdated", "hoody_site.tasks.remove_outdated", 24 * 60)]

_FAILURES_KEPT = timedelta(days=7)


def remove_outdated() -> None:
    """Remove sessions that have expired, and failures of scheduled tasks: django-q2 limits successes only."""
    call_command("clearsessions")
    Failure.objects.filter(stopped__lt=timezone.now() - _FAILURES_KEPT).delete()
