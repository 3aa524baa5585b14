"""The clock of the host is set back: nothing waits for it, and nothing is ended for it."""

import time
import uuid
from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ, Schedule, Task

from daemon_programs.maintenance import clocks
from daemon_programs.management.commands import run_queue
from daemon_programs.models import Delivery, Event
from daemon_programs.programs.observed import statuses
from hoody_site.stack import schedules, watchdog

HOUR = timedelta(hours=1)


def schedule(minutes: int, next_run: datetime) -> Schedule:
    return Schedule.objects.create(
        name=f"{minutes}", func="f", schedule_type=Schedule.MINUTES, minutes=minutes, next_run=next_run
    )


@pytest.mark.django_db
def test_schedules_run_on() -> None:
    now = timezone.now()
    every_minute, every_ten = schedule(1, now + HOUR), schedule(10, now + timedelta(minutes=9))
    assert clocks.correct() == 1
    every_minute.refresh_from_db()
    every_ten.refresh_from_db()
    assert abs(every_minute.next_run - now) < timedelta(seconds=10)
    assert every_ten.next_run == now + timedelta(minutes=9), "it is not late"


@pytest.mark.django_db
def test_no_schedule_of_ours_is_taken_for_late() -> None:
    schedules.make_schedules()
    for each in Schedule.objects.all():
        each.next_run = timezone.now() + timedelta(minutes=each.minutes)
        each.save()
    assert clocks.correct() == 0


@pytest.mark.django_db
def test_queued_tasks_run_on() -> None:
    now = timezone.now()
    late = OrmQ.objects.create(key="daemon", payload="", lock=now + HOUR)
    runs = OrmQ.objects.create(key="daemon", payload="", lock=now + timedelta(seconds=299))
    assert clocks.correct() == 1
    late.refresh_from_db()
    assert late.lock <= timezone.now()
    runs.refresh_from_db()
    assert runs.lock > timezone.now(), "it may still run"


@pytest.mark.django_db
def test_webhooks_are_retried_on() -> None:
    now = timezone.now()
    event = Event.objects.create(
        at=now, group="program-1", name="x", state="exited", from_state="running", by=""
    )

    def delivery(name: str, queued_at: datetime, next_attempt_at: datetime) -> Delivery:
        return Delivery.objects.create(
            event=event,
            program_id=1,
            url=f"https://example.com/{name}",
            webhook_id=name,
            queued_at=queued_at,
            next_attempt_at=next_attempt_at,
        )

    late = delivery("late", now + HOUR, now + HOUR)
    asked = delivery("as the receiver asked", now, now + timedelta(seconds=300))
    assert clocks.correct() == 2
    late.refresh_from_db()
    assert late.next_attempt_at is not None
    assert late.next_attempt_at <= timezone.now()
    assert late.queued_at <= timezone.now(), "its hour is counted from now"
    asked.refresh_from_db()
    assert asked.next_attempt_at == now + timedelta(seconds=300)


@pytest.mark.django_db
def test_queue_corrects_before_it_looks_for_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    late = schedule(1, timezone.now() + HOUR)
    due: list[bool] = []

    def look(broker: object) -> None:
        late.refresh_from_db()
        due.append(late.next_run <= timezone.now())

    monkeypatch.setattr(run_queue, "_run_due_schedules", look)
    assert run_queue.cluster.scheduler is run_queue.run_due_schedules
    run_queue.run_due_schedules(broker=None)
    assert due == [True]


@pytest.mark.django_db
def test_watchdog_sees_progress_after_it() -> None:
    """Tasks that finish now have ended before those of the hour to come."""
    now = timezone.now()

    def finish(stopped: datetime) -> object:
        Task.objects.create(
            id=uuid.uuid4().hex, name="t", func="f", started=stopped, stopped=stopped, success=True
        )
        return watchdog.finished_tasks()

    seen = [
        watchdog.finished_tasks(),
        finish(now + HOUR),
        finish(now),
        finish(now + timedelta(seconds=1)),
    ]
    # django-q2 removes what has ended longest ago, which is the newest: its number is used again.
    Task.objects.order_by("stopped").first().delete()  # type: ignore[union-attr]
    Task.objects.order_by("stopped").first().delete()  # type: ignore[union-attr]
    seen.append(finish(now + timedelta(seconds=2)))
    assert len(set(seen)) == len(seen)


def test_guard_of_the_queue_waits_by_a_steady_clock() -> None:
    request = run_queue.StopRequest()
    began = time.monotonic()
    assert request.wait(0.3) is False
    assert 0.3 <= time.monotonic() - began < 10
    request.set()
    assert request.wait(60) is True
    assert request.is_set() is True


def test_uptime_goes_on() -> None:
    fields = statuses.live_fields(
        {"state": "running", "pid": 1, "started_at": time.time() + 3600, "uptime": 61.5}
    )
    assert fields["uptime"] == "0:01:01"
