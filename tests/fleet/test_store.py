"""What was heard is written as a whole, once, and only by the follower that holds the host."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleet import database
from fleet.following import leases, store
from fleet.following.heard import Heard, ProgramNow, UsageOfHost
from fleet.following.known import Usage
from fleet.models import FollowedEvent, FollowedProgram, Host, HostUsage, Link

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture
def host(db: None) -> int:
    made = Host.objects.create(name="h", url="http://h:1")
    leases.renew("a")
    return made.pk


def event(number: int, at: datetime = NOW, **fields: Any) -> dict[str, Any]:
    return {"id": number, "at": at.isoformat(), "program_id": 1, "name": "p", "state": "running", **fields}


def events(*numbers: int) -> Heard:
    return Heard(events=[event(number) for number in numbers], position=numbers[-1])


def program(id: int, **fields: Any) -> ProgramNow:
    document = {"id": id, "name": f"p{id}", "enabled": True, "status": {"id": id, "status": "running"}}
    return ProgramNow({**document, **fields}, Usage(1.0, 2))


def numbers() -> list[int]:
    return list(FollowedEvent.objects.order_by("id").values_list("number", flat=True))


def names() -> list[str]:
    return list(FollowedProgram.objects.order_by("program_id").values_list("name", flat=True))


def test_events_are_written_once_with_the_position(host: int) -> None:
    assert store.write("a", {host: events(1, 2)}) == set()
    store.write("a", {host: events(1, 2, 3)})  # it is heard again from the position before
    assert numbers() == [1, 2, 3]
    assert Link.objects.get().position == 3
    written = FollowedEvent.objects.get(number=3)
    assert (written.program_id, written.name, written.state, written.document["id"]) == (1, "p", "running", 3)


def test_follower_without_the_lease_writes_nothing(host: int) -> None:
    lost = store.write("b", {host: events(1)})
    assert (lost, numbers(), Link.objects.get().position) == ({host}, [], None)


def test_host_that_is_removed_keeps_its_follower_waiting(host: int) -> None:
    with CaptureQueriesContext(connection) as queries:
        Host.objects.filter(pk=host).delete()
    made = [each["sql"] for each in queries if not each["sql"].startswith(("SAVEPOINT", "RELEASE", "BEGIN"))]
    first_deletion = next(number for number, sql in enumerate(made) if sql.startswith("DELETE"))
    assert any(sql.startswith("SELECT") and 'FROM "fleet_link"' in sql for sql in made[:first_deletion])
    assert store.write("a", {host: events(1)}) == {host}


def test_event_of_a_temporary_program_has_no_program(host: int) -> None:
    told = event(1, temporary_id="quick_1")
    del told["program_id"]
    store.write("a", {host: Heard(events=[told], position=1)})
    assert FollowedEvent.objects.get().program_id is None


def test_events_of_a_history_that_was_replaced_stay(host: int) -> None:
    store.write("a", {host: events(1, 2, 3, 4)})
    replaced = Heard(events=[event(5)], position=5)
    replaced.add(Heard(replaced_after=2, position=2))
    replaced.add(Heard(events=[event(3, state="fatal")], position=3))
    store.write("a", {host: replaced})
    assert [number for number in numbers() if number > 0] == [1, 2, 3]
    assert FollowedEvent.objects.get(number=3).state == "fatal"
    former = FollowedEvent.objects.filter(number__lt=0)
    assert [each.document["id"] for each in former.order_by("id")] == [3, 4]


def test_programs_are_added_changed_and_removed(host: int) -> None:
    store.write("a", {host: Heard(programs={1: program(1), 2: program(2)}, has_all_programs=True)})
    assert names() == ["p1", "p2"]
    store.write("a", {host: Heard(programs={1: program(1, name="other", labels={"a": "b"}), 2: None})})
    [row] = FollowedProgram.objects.all()
    assert (row.name, row.labels, row.state, row.cpu_percent, row.memory_bytes) == (
        "other",
        {"a": "b"},
        "running",
        1.0,
        2,
    )
    store.write("a", {host: Heard(programs={3: program(3)}, has_all_programs=True)})
    assert names() == ["p3"]
    store.write("a", {host: Heard(has_all_programs=True)})
    assert names() == []


def test_link_and_usage_are_written(host: int) -> None:
    heard = Heard(link={"state": "current", "heard_at": NOW, "machine": {"cpus": 2}})
    heard.usage = [UsageOfHost(NOW, {1: Usage(1.5, 10), 2: Usage(2.0, 5)})]
    store.write("a", {host: heard})
    store.write("a", {host: Heard(usage=heard.usage)})  # of the same minute
    link = Link.objects.get()
    assert link.heard_at is not None
    assert abs(link.heard_at - NOW) < timedelta(seconds=1)
    assert (link.state, link.machine) == ("current", {"cpus": 2})
    assert (link.holder, link.held_until is None) == ("a", False)
    [usage] = HostUsage.objects.all()
    assert (usage.cpu_percent, usage.memory_bytes) == (3.5, 15)
    assert usage.programs == {"1": [1.5, 10], "2": [2.0, 5]}


def test_usage_of_programs_is_forgotten_after_an_hour(host: int) -> None:
    now = datetime.now(UTC)
    minutes = [5, 65, 75]
    usage = [UsageOfHost(now - timedelta(minutes=age), {1: Usage(1.0, 1)}) for age in minutes]
    store.write("a", {host: Heard(usage=usage)})
    used = {"1": [1.0, 1]}
    end = store.empty_usage(now - timedelta(minutes=70))
    assert [row.programs for row in HostUsage.objects.all()] == [used, {}, used]
    assert timedelta() <= end - (now - timedelta(hours=1)) < timedelta(minutes=5)
    store.empty_usage()
    assert [row.programs for row in HostUsage.objects.all()] == [used, {}, {}]


def test_times_are_written_by_the_clock_of_the_database(host: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    heard = Heard(link={"since": now, "heard_at": now}, usage=[UsageOfHost(now, {1: Usage(1.0, 1)})])
    monkeypatch.setattr(database, "clock_ahead", lambda: timedelta(hours=-1))
    store.write("a", {host: heard})
    link, then = Link.objects.get(), now - timedelta(hours=1)
    assert (link.since, link.heard_at) == (then, then)
    assert HostUsage.objects.get().minute == then.replace(second=0, microsecond=0)


def test_later_news_replace_earlier_ones() -> None:
    heard = Heard(programs={1: program(1), 2: program(2)}, link={"state": "current", "error": ""})
    heard.add(Heard(programs={2: None}, link={"state": "lost"}, events=[event(1)], position=1))
    assert heard.programs == {1: program(1), 2: None}
    assert heard.link == {"state": "lost", "error": ""}
    assert heard.position == 1
    heard.add(Heard(programs={3: program(3)}, has_all_programs=True))
    assert heard.programs == {3: program(3)}
    assert heard.has_all_programs


def test_old_events_and_usage_are_removed(host: int, settings: LazySettings) -> None:
    now = datetime.now(UTC)
    settings.EVENTS_MOST, settings.EVENTS_DAYS = 3, 10
    old = event(1, now - timedelta(days=11))
    store.write("a", {host: Heard(events=[old, *map(event, range(2, 7))], position=6)})
    ages = [timedelta(minutes=5), timedelta(hours=2), timedelta(hours=25)]
    usage = [UsageOfHost(now - age, {1: Usage(1.0, 1)}) for age in ages]
    store.write("a", {host: Heard(usage=usage)})
    assert store.purge() == 3
    assert numbers() == [4, 5, 6]
    assert HostUsage.objects.count() == 2
    settings.EVENTS_MOST = 100
    FollowedEvent.objects.filter(number=4).update(at=now - timedelta(days=11))
    assert store.purge() == 1
