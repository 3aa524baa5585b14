"""Create the schedules of the queue, at every start."""

from django.utils import timezone

from daemon_programs import tasks as program_tasks
from fleet import tasks as fleet_tasks
from hoody_site import tasks
from quick_start import tasks as quick_start_tasks


def make_schedules() -> None:
    """Create or update the schedules, due at once, and delete those that no longer exist."""
    from django_q.models import Schedule

    schedules = [
        *program_tasks.SCHEDULES,
        *quick_start_tasks.SCHEDULES,
        *fleet_tasks.schedules(),
        *tasks.SCHEDULES,
    ]
    names = [name for name, _, _ in schedules]
    for name, function, minutes in schedules:
        Schedule.objects.update_or_create(
            name=name,
            defaults={
                "func": function,
                "schedule_type": Schedule.MINUTES,
                "minutes": minutes,
                # Otherwise django-q2 would catch up from the last run, one interval at a time.
                "next_run": timezone.now(),
            },
        )
    Schedule.objects.exclude(name__in=names).delete()
