"""What neither Django nor django-q2 removes by itself."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from django_q.models import Failure, Task

from hoody_site.tasks import remove_outdated


@pytest.mark.django_db
def test_expired_sessions_and_old_failures_are_removed() -> None:
    now = timezone.now()
    for key, days in (("expired", -1), ("valid", 1)):
        Session.objects.create(session_key=key, expire_date=now + timedelta(days=days))
    for name, days in (("old", 8), ("new", 6)):
        at = now - timedelta(days=days)
        Task.objects.create(id=name, name=name, func="f", started=at, stopped=at, success=False)
    remove_outdated()
    assert [session.session_key for session in Session.objects.all()] == ["valid"]
    assert [failure.name for failure in Failure.objects.all()] == ["new"]
