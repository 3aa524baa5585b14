"""``GET events``: state changes and their actors, without losses."""

import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon_programs.history import store
from daemon_programs.models import Event
from daemon_programs.supervisor.events import StateChange
from daemon_programs.supervisor.plugin.sockets import journal
from tests.drills import ROUNDS
from tests.events import changes, check_chains, events, rows, until_states
from tests.processes import shell
from tests.stack import Api, Stack, eventually, temporary_stack
from tests.stream_client import StreamClient
from tests.temporary_programs import Quick, own_processes

RANGES = 1 if ROUNDS < 2 else 5  # of 500 ports each


@pytest.fixture(scope="module")
def eventful() -> Iterator[Stack]:
    """A stack of this file's own: its history is read as a whole."""
    with temporary_stack() as stack:
        yield stack.start()


# What an event says


def test_a_start_and_a_stop_are_recorded_with_their_actor(api: Api) -> None:
    id = api.add(name="web")
    api.ok(f"programs/{id}/start", {"wait": True})
    pid = api.pid(id)
    api.ok(f"programs/{id}/stop")
    seen = until_states(api, id, "starting", "running", "stopping", "stopped")
    assert changes(seen) == [
        ("stopped", "starting"),
        ("starting", "running"),
        ("running", "stopping"),
        ("stopping", "stopped"),
    ]
    assert {(event["by"], event["user"]) for event in seen} == {("api", "admin")}
    assert {event["program_id"] for event in seen} == {id}
    assert {event["name"] for event in seen} == {"web"}
    assert [event.get("pid") for event in seen] == [None, pid, pid, pid]
    assert seen[-1]["signal"] == "SIGTERM"
    assert not any(event["gap"] for event in seen)
    assert [event["id"] for event in seen] == sorted(event["id"] for event in seen)
    assert [event["at"] for event in seen] == sorted(event["at"] for event in seen)


def test_times_are_utc_to_the_millisecond(api: Api) -> None:
    id = api.add()
    before = datetime.now(UTC)
    api.ok(f"programs/{id}/start")
    seen = until_states(api, id, "starting", "running")
    for event in seen:
        assert event["at"].endswith("Z")
        assert len(event["at"]) == len("2026-01-31T22:00:00.123Z")
        at = datetime.fromisoformat(event["at"])
        assert before - timedelta(milliseconds=1) <= at <= datetime.now(UTC)


def test_what_follows_from_the_configuration_is_supervisords(api: Api) -> None:
    id = api.add(shell("sleep 1.1; exit 3"), autorestart="true")
    api.ok(f"programs/{id}/start")
    seen = eventually(lambda: len(found := events(api, id)) >= 6 and found)
    assert changes(seen)[:5] == [
        ("stopped", "starting"),
        ("starting", "running"),
        ("running", "exited"),
        ("exited", "backoff"),
        ("backoff", "starting"),
    ]
    assert [event["by"] for event in seen][:6] == ["api", "api", *["supervisord"] * 4]
    assert seen[2]["exit_code"] == 3
    assert "user" not in seen[4]


def test_each_attempt_of_a_failing_start_is_recorded(api: Api) -> None:
    id = api.add(shell("exit 7"))
    api.ok(f"programs/{id}/start")
    seen = eventually(lambda: (found := events(api, id))[-1:] and found[-1]["state"] == "fatal" and found)
    assert [event["state"] for event in seen] == [*["starting", "backoff"] * 4, "fatal"]
    assert {event["exit_code"] for event in seen if event["state"] == "backoff"} == {7}


def test_what_can_not_be_run_is_recorded_with_the_reason(api: Api) -> None:
    id = api.add("/no/such/command", boot=True)
    seen = until_states(api, id, "starting", "fatal")
    assert seen[-1]["error"] == "command not found: /no/such/command"
    assert "exit_code" not in seen[-1]


def test_a_kill_is_recorded_with_its_signal(api: Api) -> None:
    id = api.add(autorestart="false")
    api.ok(f"programs/{id}/start", {"wait": True})
    os.kill(int(api.pid(id) or 0), signal.SIGKILL)
    seen = until_states(api, id, "starting", "running", "exited")
    assert seen[-1]["signal"] == "SIGKILL"
    assert seen[-1]["by"] == "supervisord"


def test_instances_are_recorded_by_port(api: Api) -> None:
    id = api.add("sleep {port}", name="range", port_range={"start": 21000, "end": 21001})
    api.ok(f"programs/{id}/start", {"port": 21001})
    seen = until_states(api, id, "starting", "running")
    assert {(event["name"], event["port"]) for event in seen} == {("range", 21001)}


def test_temporary_programs_are_recorded_by_their_id(api: Api, quick: Quick) -> None:
    id = quick.run("true")
    seen = eventually(lambda: [e for e in events(api, state="exited") if e.get("temporary_id") == id])
    assert "program_id" not in seen[0]
    assert seen[0]["exit_code"] == 0


def test_the_end_of_a_time_to_live_is_recorded(api: Api, quick: Quick) -> None:
    id = quick.run(ttl=1)
    seen = eventually(lambda: [e for e in events(api, state="stopped") if e.get("temporary_id") == id])
    assert seen[0]["by"] == "ttl"


def test_an_edit_is_recorded_with_its_actor(api: Api) -> None:
    id = api.add(boot=True)
    until_states(api, id, "starting", "running")
    api.ok(f"programs/edit/{id}", {"environment": {"A": "1"}})
    seen = until_states(api, id, "starting", "running", "stopping", "stopped", "starting", "running")
    assert {event["by"] for event in seen} == {"api"}


def test_the_name_is_that_of_the_time(api: Api) -> None:
    id = api.add(name="before")
    api.ok(f"programs/{id}/start")
    until_states(api, id, "starting", "running")
    api.ok(f"programs/edit/{id}", {"name": "after"})
    eventually(lambda: {"before", "after"} == {event["name"] for event in events(api, id)})


def test_the_history_outlives_its_program(api: Api) -> None:
    id = api.add(name="gone soon")
    api.ok(f"programs/{id}/start")
    until_states(api, id, "starting", "running")
    api.ok(f"programs/remove/{id}")
    assert api.get(f"programs/{id}/events").status_code == 404
    left = eventually(
        lambda: (
            (found := [e for e in events(api) if e.get("program_id") == id])[-1]["state"] == "stopped"
            and found
        )
    )
    assert {event["name"] for event in left} == {"gone soon"}


# Which events are shown


def test_newest_first_page_by_page(api: Api) -> None:
    id = api.add(shell("exit 1"), autorestart="false")
    for _ in range(3):
        api.post(f"programs/{id}/start", {"wait": True})
    until_states(api, id, *["starting", "exited"] * 3)
    first = api.get(f"programs/{id}/events", limit=4).json()
    assert [event["state"] for event in first["events"]] == ["exited", "starting"] * 2
    second = api.get(f"programs/{id}/events", limit=4, cursor=first["next"]).json()
    assert [event["state"] for event in second["events"]] == ["exited", "starting"]
    assert second["next"] is None
    ids = [event["id"] for event in [*first["events"], *second["events"]]]
    assert ids == sorted(ids, reverse=True)


def test_a_page_that_is_just_full_is_the_last(api: Api) -> None:
    id = api.add()
    api.ok(f"programs/{id}/start")
    until_states(api, id, "starting", "running")
    assert api.get(f"programs/{id}/events", limit=2).json()["next"] is None


def test_since_and_state(api: Api) -> None:
    id = api.add()
    api.ok(f"programs/{id}/start", {"wait": True})
    api.ok(f"programs/{id}/stop")
    seen = until_states(api, id, "starting", "running", "stopping", "stopped")
    stopping = seen[2]["at"]
    assert [event["state"] for event in events(api, id, since=stopping)] == ["stopping", "stopped"]
    assert events(api, id, since="2999-01-01T00:00:00Z") == []
    east = datetime.fromisoformat(stopping).astimezone(tz=None).isoformat()
    assert len(events(api, id, since=east)) == 2
    # As curl sends a pasted cursor: the + as a blank.
    assert len(events(api, id, since=stopping.replace("Z", " 00:00"))) == 2
    assert [event["state"] for event in events(api, id, state="running")] == ["running"]
    assert events(api, id, since="0s") == []
    assert events(api, id, since="1h") == events(api, id)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"since": "yesterday"}, "Query parameter 'since' must be a time such as 2026-01-31T22:00:00Z"),
        ({"since": ""}, "Query parameter 'since' must be a time such as 2026-01-31T22:00:00Z"),
        ({"since": "9999-12-31T23:59:59-14:00"}, "Query parameter 'since' must be a time such as "),
        ({"limit": "0"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        ({"limit": "1001"}, "Query parameter 'limit' must be an integer between 1 and 1000"),
        ({"cursor": "abc"}, "Query parameter 'cursor' must be the 'next' of an earlier answer"),
        ({"cursor": "9" * 30}, "Query parameter 'cursor' must be the 'next' of an earlier answer"),
        ({"state": "RUNNING"}, "Query parameter 'state' must be one of: running, stopped, starting, "),
    ],
)
def test_bad_queries_are_refused(api: Api, query: dict[str, str], sentence: str) -> None:
    answer = api.get("events", **query)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)


def test_an_unknown_program_has_no_events(api: Api) -> None:
    answer = api.get("programs/999999/events")
    assert (answer.status_code, answer.json()["error"]) == (404, "Program with ID 999999 not found")


# No losses, no duplicates


def burst(stack: Stack, ports: int, command: str, *, first_port: int = 30000) -> int:
    """Start all instances of a port range; its id."""
    port_range = {"start": first_port, "end": first_port + ports - 1}
    id = stack.api.add(command, port_range=port_range, autorestart="false", logs_enabled=False)
    stack.api.ok(f"programs/{id}/start", {"all": True})
    return id


def recorded(stack: Stack, id: int) -> list[Any]:
    return [row for row in rows(stack) if row["group"] == f"program-{id}"]


def check_complete(stack: Stack, boot: str) -> None:
    """The journal's numbers, each once and in the order of the rows."""
    numbers = [row["number"] for row in rows(stack) if row["boot"] == boot]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_burst_arrives_complete_and_in_order_also_on_the_stream(eventful: Stack) -> None:
    # Each instance is starting, then exited: two changes, and more if some were slow.
    with StreamClient(eventful, "events/stream") as listener:
        ids = [burst(eventful, 500, "true", first_port=30000 + 500 * each) for each in range(RANGES)]
        seen: list[Any] = []
        running = 500 * RANGES
        while running:
            event = listener.until("state", 60).data
            if event.get("program_id") in ids:
                seen.append(event)
                running -= event["state"] == "exited"
    found = [row for id in ids for row in recorded(eventful, id)]
    assert [event["id"] for event in seen] == sorted(row["id"] for row in found)
    assert len(seen) >= 1000 * RANGES
    check_chains(found)
    check_complete(eventful, found[0]["boot"])
    for id in ids:
        eventful.api.ok(f"programs/remove/{id}")


def test_a_listener_killed_in_a_burst_loses_nothing(eventful: Stack) -> None:
    id = burst(eventful, 400, shell("sleep 1.1"))
    for _ in range(4):
        eventually(lambda: own_processes(eventful, "listener"))
        for process in own_processes(eventful, "listener"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        before = len(rows(eventful))
        eventually(lambda before=before: len(rows(eventful)) > before or own_processes(eventful, "listener"))
    eventually(lambda: sum(row["state"] == "exited" for row in recorded(eventful, id)) == 400, 60)
    found = recorded(eventful, id)
    check_chains(found)
    check_complete(eventful, found[0]["boot"])
    assert not any(row["is_gap"] for row in found)
    eventful.api.ok(f"programs/remove/{id}")


def test_what_a_killed_supervisord_could_not_report_is_marked_as_a_gap(own_stack: Stack) -> None:
    own_stack.start()
    runs, rests = own_stack.api.add(name="runs"), own_stack.api.add(name="rests")
    boots = own_stack.api.add(name="boots", boot=True)
    for id in (runs, rests):
        own_stack.api.ok(f"programs/{id}/start", {"wait": True})
    own_stack.api.ok(f"programs/{rests}/stop")
    until_states(own_stack.api, rests, "starting", "running", "stopping", "stopped")
    until_states(own_stack.api, runs, "starting", "running")
    until_states(own_stack.api, boots, "starting", "running")
    os.kill(own_stack.supervisord_pid, signal.SIGKILL)
    assert own_stack.process
    own_stack.process.wait()

    own_stack.start()
    seen = until_states(own_stack.api, boots, "starting", "running", "stopped", "starting", "running")
    assert (seen[2]["gap"], seen[2]["by"], seen[2]["from_state"]) == (True, "gap", "running")
    assert seen[2]["error"] == "supervisord ended before it could tell how this ended"
    assert {event["by"] for event in seen[3:]} == {"boot"}
    assert [event["state"] for event in events(own_stack.api, runs)] == ["starting", "running", "stopped"]
    assert len(events(own_stack.api, rests)) == 4
    check_chains(rows(own_stack))


def test_an_orderly_end_leaves_no_gap(own_stack: Stack) -> None:
    own_stack.start()
    id = own_stack.api.add(boot=True)
    until_states(own_stack.api, id, "starting", "running")
    assert own_stack.stop() == 0
    own_stack.start()
    seen = until_states(
        own_stack.api, id, "starting", "running", "stopping", "stopped", "starting", "running"
    )
    assert [event["by"] for event in seen[2:4]] == ["shutdown", "shutdown"]
    assert not any(event["gap"] for event in seen)


def test_a_full_journal_leaves_the_present_states(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_MOST_ENTRIES", 3)
    pokes: list[None] = []
    kept = journal.Journal()
    kept.poke = lambda: pokes.append(None)
    for number in range(5):
        kept.add({"change": number})
    assert len(pokes) == 1
    batch = kept.batch()
    assert (batch["lost"], batch["entries"], batch["last"]) == (5, [], 5)
    assert kept.batch()["lost"] == 5  # until it is acknowledged
    kept.forget(5)
    kept.add({"change": 5})
    assert [entry["number"] for entry in kept.batch()["entries"]] == [6]
    assert kept.batch()["lost"] == 0


def test_a_loss_is_reported_also_when_the_listener_goes_on_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "_MOST_ENTRIES", 3)
    kept = journal.Journal()
    kept.add({})
    assert kept.batch()["last"] == 1  # recorded while the next ones come in
    for _ in range(4):
        kept.add({})
    kept.forget(1)
    batch = kept.batch()
    assert (batch["lost"], batch["entries"], batch["last"]) == (5, [], 5)
    kept.forget(batch["last"])
    assert kept.batch()["lost"] == 0


def test_listener_that_has_fetched_everything_is_notified_again() -> None:
    pokes: list[None] = []
    kept = journal.Journal()
    kept.poke = lambda: pokes.append(None)
    kept.add({})
    kept.add({})
    assert len(pokes) == 1
    kept.forget(kept.batch()["entries"][-1]["number"])
    assert kept.batch()["entries"] == []
    kept.add({})
    assert len(pokes) == 2


# Retention and gaps, in the table


def past(state: str, *, days: float = 0, **fields: Any) -> Event:
    at = datetime.now(UTC) - timedelta(days=days)
    return Event.objects.create(
        **{"at": at, "group": "program-1", "name": "web", "from_state": "stopped", "by": "api", **fields},
        state=state,
    )


@pytest.mark.django_db
def test_old_events_are_purged_but_never_the_newest(settings: Any) -> None:
    settings.EVENTS_DAYS = 30
    past("running", days=40)
    past("stopped", days=31)
    kept = past("running", days=29)
    assert store.purge() == 2
    assert list(Event.objects.all()) == [kept]
    Event.objects.update(at=datetime.now(UTC) - timedelta(days=99))
    assert store.purge() == 0
    assert list(Event.objects.all()) == [kept]


@pytest.mark.django_db
def test_surplus_events_are_purged_the_oldest_first(settings: Any) -> None:
    settings.EVENTS_MOST = 3
    written = [past("running") for _ in range(5)]
    assert store.purge() == 2
    assert set(Event.objects.all()) == set(written[2:])


@pytest.mark.django_db
def test_gaps_are_closed_for_what_was_active_alone() -> None:
    past("running", pid=4711)
    past("stopped", group="program-2")
    past("running", group="program-3", port=8000)
    past("exited", group="program-3", port=8001)
    past("running", group="program-4")
    states = {
        "program-3": {"processes": {"8000": {"state": "running"}, "8001": {"state": "exited"}}},
        "program-4": {"processes": {"program-4": {"state": "backoff"}}},
    }
    closed = store.close_gaps(states)
    assert [(event.group, event.port, event.from_state, event.state) for event in closed] == [
        ("program-1", None, "running", "stopped"),
        ("program-4", None, "running", "backoff"),
    ]
    assert all(event.is_gap for event in closed)
    assert [event.pid for event in closed] == [4711, None]
    assert store.close_gaps(states) == []


# Recording a batch of the journal


def change(number: int, state: str = "starting") -> StateChange:
    return StateChange(
        number=number,
        group="program-1",
        process="program-1",
        name="web",
        from_state="stopped",
        state=state,
        at=datetime.now(UTC),
        by="user:admin",
        pid=None,
        last_run=None,
    )


@pytest.mark.django_db
def test_recorded_changes_are_skipped_when_they_are_reported_again() -> None:
    first = store.record("boot", [change(number) for number in (1, 2, 3)])
    assert [event.number for event in first] == [1, 2, 3]
    assert store.record("boot", [change(number) for number in (1, 2, 3)]) == []
    again = store.record("boot", [change(number, "running") for number in (2, 3, 4, 5)])
    assert [event.number for event in again] == [4, 5]
    kept = Event.objects.order_by("id").values_list("number", "state")
    assert list(kept) == [(1, "starting"), (2, "starting"), (3, "starting"), (4, "running"), (5, "running")]
    assert store.last_recorded("boot") == 5


@pytest.mark.django_db
def test_another_supervisord_numbers_from_the_start() -> None:
    store.record("one boot", [change(1), change(2)])
    assert store.last_recorded("another boot") == 0
    assert [event.number for event in store.record("another boot", [change(1)])] == [1]
    assert Event.objects.count() == 3
