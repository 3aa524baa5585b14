"""Loops in the history: after ten identical rounds one row counts on."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from daemon_programs.admin.event import change as shown_change
from daemon_programs.admin.presentation.loops import folded
from daemon_programs.history import store
from daemon_programs.history import stream as event_stream
from daemon_programs.models import Delivery, Event
from daemon_programs.supervisor.events import StateChange
from tests import webhook_programs
from tests.events import Event as Told
from tests.events import events
from tests.processes import shell
from tests.stack import Api, Stack
from tests.stream_client import StreamClient
from tests.webhook_receivers import Receiver

CRASH = [("backoff", "starting"), ("starting", "running"), ("running", "exited"), ("exited", "backoff")]
PLANNED = [("stopped", "starting"), ("starting", "running"), ("running", "stopping"), ("stopping", "stopped")]
NOW = datetime.now(UTC)


class History:
    """Records rounds of changes, as the event listener does."""

    def __init__(self) -> None:
        self.numbers = count(1)

    def changes(
        self,
        states: list[tuple[str, str]] = CRASH,
        *,
        id: int = 1,
        port: int | None = None,
        by: str = "supervisord",
        exit_code: int = 1,
    ) -> list[StateChange]:
        return [
            StateChange(
                number=(number := next(self.numbers)),
                group=f"program-{id}",
                process=f"program-{id}" if port is None else str(port),
                name="web",
                from_state=before,
                state=after,
                at=NOW + timedelta(seconds=number),
                by=by,
                pid=number,
                last_run=_ended(exit_code) if after in ("exited", "backoff") else None,
            )
            for before, after in states
        ]

    def round(self, states: list[tuple[str, str]] = CRASH, **fields: Any) -> list[Event]:
        return store.record("boot", self.changes(states, **fields))


def _ended(exit_code: int) -> Any:
    return {
        "exit_code": exit_code,
        "signal": None,
        "error": None,
        "pid": 5,
        "ended_at": 0,
        "requested": False,
    }


@pytest.fixture
def history(db: None) -> History:
    return History()


def counted(id: int = 1) -> list[int]:
    """For how many rounds each event stands, oldest first."""
    return [event.repeated for event in Event.objects.of_program(id).order_by("id")]


# What is counted


def test_ten_rounds_are_kept_and_one_row_counts_the_others(history: History) -> None:
    for number in range(1, 51):
        history.round()
        expected = [1] * 4 * number if number < 12 else [*[1] * 40, number - 10]
        assert counted() == expected
    last = Event.objects.order_by("id").last()
    assert last is not None
    assert (last.state, last.number, last.at) == ("backoff", 200, NOW + timedelta(seconds=200))
    assert store.event_document(last)["repeated"] == 40
    assert "repeated" not in store.event_document(Event.objects.order_by("id")[0])
    assert "40 rounds of a loop" in shown_change(last)


def test_loops_are_one_row_each_on_a_page_of_the_history(history: History) -> None:
    history.round(CRASH[:1], by="admin:alice")
    history.round(CRASH[1:])
    for _ in range(14):
        history.round()
        history.round(id=2, port=8000)
    history.round(CRASH[:2])
    shown = folded(Event.objects.order_by("-id"))
    loops = [(event.group, getattr(event, "times", 1)) for event in shown]
    assert [each for each in loops if each[1] > 1] == [("program-2", 14), ("program-1", 14)]
    assert [event.state for event in shown if event.group == "program-1"] == [
        *("running", "starting"),  # under way
        "backoff",
        *("backoff", "exited", "running", "starting"),  # what a person began is no round of the loop
    ]


def test_rounds_that_differ_are_not_one_row(history: History) -> None:
    for exit_code in (1, 2, 1):
        history.round(exit_code=exit_code)
    assert len(folded(Event.objects.order_by("-id"))) == 12


def test_rounds_of_one_batch_are_counted_too(history: History) -> None:
    recorded = store.record("boot", [change for _ in range(30) for change in history.changes()])
    assert len(recorded) == 120
    assert counted() == [*[1] * 40, 20]
    assert store.last_recorded("boot") == 120


@pytest.mark.parametrize("by", ["supervisord", "max_runtime", "unhealthy"])
def test_restarts_for_a_reason_are_rounds_too(history: History, by: str) -> None:
    for _ in range(20):
        history.round(PLANNED, by=by)
    assert counted() == [*[1] * 40, 10]


def test_what_is_under_way_is_kept(history: History) -> None:
    for _ in range(20):
        history.round()
    history.round(CRASH[:2])
    assert counted() == [*[1] * 40, 10, 1, 1]
    assert list(Event.objects.values_list("state", flat=True)[:2]) == ["running", "starting"]
    history.round(CRASH[2:])
    assert counted() == [*[1] * 40, 11]


def test_another_outcome_is_another_loop(history: History) -> None:
    for exit_code in (1, 2):
        for _ in range(20):
            history.round(exit_code=exit_code)
    assert counted() == [*[1] * 40, 10] * 2


def test_round_that_differs_begins_anew(history: History) -> None:
    for _ in range(15):
        history.round()
    history.round([("backoff", "starting"), ("starting", "backoff")])
    for _ in range(15):
        history.round()
    assert counted() == [*[1] * 40, 5, 1, 1, *[1] * 40, 5]


@pytest.mark.parametrize("by", ["api:alice", "admin:alice", "command", "daemon", "boot"])
def test_what_people_do_is_never_only_counted(history: History, by: str) -> None:
    for _ in range(20):
        history.round(CRASH[:1], by=by)
        history.round(CRASH[1:])
    assert counted() == [1] * 80
    for _ in range(20):
        history.round(PLANNED, by=by)
    assert len(counted()) == 160


def test_each_process_has_loops_of_its_own(history: History) -> None:
    for _ in range(15):
        history.round()
        history.round(id=2)
        history.round(id=3, port=8000)
        history.round(id=3, port=8001)
    assert counted(1) == counted(2)
    assert len(counted(1)) == 41
    assert len(counted(3)) == 82


def test_loop_goes_on_after_its_first_rounds_were_purged(history: History) -> None:
    for _ in range(20):
        history.round()
    Event.objects.filter(rounds__lte=10).delete()
    history.round()
    assert counted() == [11]


def test_loops_do_not_evict_the_history_of_others(history: History, settings: Any) -> None:
    """Ten of them, for an hour with pauses of a minute."""
    settings.EVENTS_MOST = 1000
    for id in range(100, 150):
        history.round(PLANNED, id=id, by="api:alice")
    for _ in range(60):
        for id in range(1, 11):
            history.round(id=id)
    assert store.purge() == 0
    assert Event.objects.count() == 50 * 4 + 10 * 41


def test_gap_is_closed_after_a_loop_as_after_anything_else(history: History) -> None:
    for _ in range(20):
        history.round()
    assert [event.from_state for event in store.close_gaps({})] == ["backoff"]
    assert store.close_gaps({}) == []


# Webhooks and streams


def test_event_is_kept_until_its_webhooks_are_delivered(history: History) -> None:
    for _ in range(12):
        history.round()
    history.round(CRASH[:1])
    running = history.round(CRASH[1:2])[0]
    delivery = Delivery.objects.create(
        event=running, program_id=1, url="https://example.com", webhook_id="msg_1", queued_at=NOW
    )
    history.round(CRASH[2:])
    history.round()
    assert counted() == [*[1] * 41, 4]
    assert Event.objects.filter(pk=running.pk).exists()
    Delivery.objects.filter(pk=delivery.pk).update(state=Delivery.DELIVERED)
    history.round()
    assert counted() == [*[1] * 40, 5]


@pytest.fixture
def recent(db: None, monkeypatch: pytest.MonkeyPatch) -> event_stream.RecentEvents:
    fresh = event_stream.RecentEvents()
    monkeypatch.setattr(event_stream, "recent", fresh)
    return fresh


def test_stream_shows_nothing_that_the_history_does_not_have(
    history: History, recent: event_stream.RecentEvents
) -> None:
    shown: list[int] = []
    for _ in range(30):
        for part in (CRASH[:2], CRASH[2:]):
            history.round(part)
            recent.expire()
            block = [each.id for each in recent.after(shown[-1] if shown else 0)]
            assert set(block) <= set(Event.objects.values_list("pk", flat=True))
            shown += block
    assert shown == sorted(set(shown))
    again = [each.id for each in recent.after(0)]
    assert again == list(Event.objects.order_by("id").values_list("pk", flat=True))


# In a stack


def test_loop_of_a_program_is_counted(api: Api, stack: Stack) -> None:
    id = api.add(shell("exit 3"), start_retries=None, restart_delay_max_seconds=1)
    streamed: list[Told] = []
    with StreamClient(stack, "events/stream") as client:
        api.ok(f"programs/{id}/start")
        while not streamed or streamed[-1].get("repeated", 0) < 3:
            event = client.until("state").data
            if event.get("program_id") == id:
                streamed.append(event)
    api.ok(f"programs/{id}/stop")
    told = events(api, id)
    assert [event["state"] for event in told[:20]] == ["starting", "backoff"] * 10
    counting = [event for event in told if "repeated" in event]
    assert len(counting) == 1
    assert (counting[0]["state"], counting[0]["exit_code"]) == ("backoff", 3)
    assert len(told) < 20 + 1 + 4
    # The stream has shown all of the changes, in order.
    assert [event["id"] for event in streamed] == sorted({event["id"] for event in streamed})
    assert [event["state"] for event in streamed].count("starting") >= 10
    assert streamed[-1]["state"] == "backoff"


def test_webhooks_tell_of_each_change_of_a_loop(hooked: Stack, receiver: Receiver) -> None:
    id = webhook_programs.add(
        hooked.api,
        receiver.url(),
        command=shell("exit 3"),
        events=["BACKOFF"],
        fields={"start_retries": None, "restart_delay_max_seconds": 1},
    )
    hooked.api.ok(f"programs/{id}/start")
    assert len(receiver.until(14, timeout=60)) >= 14
    hooked.api.ok(f"programs/remove/{id}")
