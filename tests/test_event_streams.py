"""``GET events/stream``: every state change, once and in order."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from daemon_programs.history import stream as event_stream
from daemon_programs.models import Event
from tests.processes import shell
from tests.stack import Api, Stack, eventually
from tests.stream_client import StreamClient, api_pid

ROUTE = "events/stream"


def states(listener: StreamClient, id: int, *, until: str) -> list[str]:
    """The states that a program comes to, up to one of them."""
    came: list[str] = []
    while not came or came[-1] != until:
        received = listener.until("state")
        if received.data.get("program_id") == id:
            came.append(received.data["state"])
    return came


def recorded(api: Api, **query: Any) -> list[dict[str, Any]]:
    """All recorded events, the oldest first."""
    events: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("events", limit=1000, **query, **cursor).json()
        events += page["events"]
        if page["next"] is None:
            return events[::-1]
        cursor = {"cursor": page["next"]}


def test_changes_are_sent_as_they_happen(api: Api, stack: Stack) -> None:
    with StreamClient(stack, ROUTE) as listener:
        id = api.add()
        api.ok(f"programs/{id}/start", {"wait": True})
        api.ok(f"programs/{id}/stop")
        assert states(listener, id, until="stopped") == ["starting", "running", "stopping", "stopped"]


def test_stream_of_one_program_leaves_the_others_out(api: Api, stack: Stack) -> None:
    id, other = api.add(), api.add()
    with StreamClient(stack, f"{ROUTE}?program={id}") as listener:
        api.ok(f"programs/{other}/start", {"wait": True})
        api.ok(f"programs/{id}/start")
        assert listener.until("state").data["program_id"] == id


@pytest.mark.parametrize("id", ["", "0", "web", "-1", "9999999999"])
def test_program_of_a_stream_must_be_an_id(stack: Stack, id: str) -> None:
    refused = stack.api.get(ROUTE, program=id)
    assert refused.status_code == 400
    assert refused.json()["error"] == ("Query parameter 'program' must be an integer between 1 and 999999999")


def test_data_is_that_of_the_history(api: Api, stack: Stack) -> None:
    with StreamClient(stack, ROUTE) as listener:
        id = api.add(shell("exit 3"), autorestart="false")
        api.ok(f"programs/{id}/start")
        while (received := listener.until("state")).data.get("program_id") != id:
            pass
        newest = eventually(lambda: recorded(api))
        assert received.data in newest
        assert received.id == str(received.data["id"])


def test_past_events_are_sent_only_on_request(api: Api, stack: Stack) -> None:
    id = api.add()
    api.ok(f"programs/{id}/start", {"wait": True})
    eventually(lambda: recorded(api)[-1]["state"] == "running")
    last = recorded(api)[-1]["id"]
    with StreamClient(stack, ROUTE) as listener:
        api.ok(f"programs/{id}/stop")
        assert listener.event().data["id"] > last


def test_client_without_an_event_yet_can_resume(api: Api, stack: Stack) -> None:
    with StreamClient(stack, ROUTE) as listener:
        eventually(lambda: listener._received or listener._receive(time.monotonic() + 10) or True)
        head, _, _ = listener._received.partition(b"\n\n")
    place = head.decode().split("id: ")[1]
    id = api.add()
    api.ok(f"programs/{id}/start", {"wait": True})
    with StreamClient(stack, ROUTE, after=place) as listener:
        assert states(listener, id, until="running") == ["starting", "running"]


def test_client_that_comes_and_goes_misses_nothing(api: Api, stack: Stack) -> None:
    id = api.add()
    received: list[int] = []
    listener = StreamClient(stack, ROUTE)
    with ThreadPoolExecutor(1) as pool:
        restarts = pool.submit(lambda: [stack.api.ok(f"programs/{id}/restart") for _ in range(30)])
        for _ in range(15):
            received += [int(listener.event(30).data["id"]) for _ in range(2)]
            listener.close()
            listener = StreamClient(stack, ROUTE, after=str(received[-1]))
        listener.close()
        restarts.result()
    first, last = received[0], received[-1]
    assert received == [event["id"] for event in recorded(api) if first <= event["id"] <= last]


def test_last_event_may_come_in_the_query(api: Api, stack: Stack) -> None:
    id = api.add()
    api.ok(f"programs/{id}/start", {"wait": True})
    eventually(lambda: recorded(api)[-1]["state"] == "running")
    before = recorded(api)[-2]["id"]
    with StreamClient(stack, ROUTE, last_event_id=before) as listener:
        assert listener.event().data["id"] == recorded(api)[-1]["id"]


@pytest.mark.parametrize("id", ["x", "-1", "1.0", "٣", str(2**63)])
def test_what_is_no_id_is_refused(stack: Stack, id: str) -> None:
    answer = stack.api.get(ROUTE, last_event_id=id)
    assert answer.status_code == 400
    assert "'last_event_id'" in answer.json()["error"]


def test_stream_needs_the_permission_to_see_programs(stack: Stack) -> None:
    assert stack.client(None).get(ROUTE).status_code == 401
    assert stack.client("wrong").get(ROUTE).status_code == 401


def test_killed_api_loses_no_event(own_stack: Stack) -> None:
    stack = own_stack.start()
    api = stack.api
    ids = [api.add() for _ in range(5)]
    listener = StreamClient(stack, ROUTE)
    for id in ids:
        api.ok(f"programs/{id}/start", {"wait": True})
    had = [listener.event().data["id"]]
    os.kill(api_pid(api), signal.SIGKILL)
    had += [received.data["id"] for received in listener.rest()]
    eventually(stack._is_up, 60)
    for id in ids:
        api.ok(f"programs/{id}/stop")
    expected = [event["id"] for event in eventually(lambda: all_stopped(api, ids) and recorded(api))]
    with StreamClient(stack, ROUTE, after=str(had[-1])) as again:
        while had[-1] < expected[-1]:
            had.append(again.event().data["id"])
    assert had == [id for id in expected if id >= had[0]]


def all_stopped(api: Api, ids: list[int]) -> bool:
    stopped = [event["program_id"] for event in recorded(api) if event["state"] == "stopped"]
    return set(ids) <= set(stopped)


def test_purged_events_are_a_reset(own_stack: Stack) -> None:
    stack = own_stack.start()
    api = stack.api
    id = api.add()
    for _ in range(3):
        api.ok(f"programs/{id}/start", {"wait": True})
        api.ok(f"programs/{id}/stop")
    events = eventually(lambda: len(found := recorded(api)) >= 12 and found)
    code = (
        f"from daemon_programs.models import Event; Event.objects.filter(pk__lte={events[6]['id']}).delete()"
    )
    assert stack.manage("shell", "-c", code).returncode == 0
    with StreamClient(stack, ROUTE, after=str(events[2]["id"])) as listener:
        received = listener.event()
        assert (received.name, received.data, received.id) == ("reset", {"reason": "purged"}, None)
        assert listener.event().data["id"] == events[7]["id"]
    with StreamClient(stack, ROUTE, after=str(events[6]["id"])) as listener:
        assert listener.event().data["id"] == events[7]["id"]  # nothing in between was removed
    with StreamClient(stack, ROUTE, after="1000000") as listener:  # of a history that was reset since
        assert listener.event().name == "reset"
        assert listener.event().data["id"] == events[7]["id"]


def test_stream_that_lags_behind_gets_everything(own_stack: Stack) -> None:
    """More than is kept in memory for all, in blocks of its own."""
    stack = own_stack.start()
    assert stack.manage("shell", "-c", _MANY).returncode == 0
    with StreamClient(stack, ROUTE, after="0") as listener:
        ids = [listener.event(30).data["id"] for _ in range(3000)]
    assert ids == list(range(ids[0], ids[0] + 3000))


_MANY = """
from datetime import UTC, datetime
from daemon_programs.models import Event
now = datetime.now(UTC)
Event.objects.bulk_create(
    Event(at=now, group="program-1", name="x", from_state="stopped", state="starting", by="api")
    for _ in range(3000)
)
"""


# Block by block


@pytest.fixture
def recent(monkeypatch: pytest.MonkeyPatch, db: None) -> event_stream.RecentEvents:
    """What streams have in common, new, and in small blocks."""
    monkeypatch.setattr(event_stream, "_BLOCK", 10)
    fresh = event_stream.RecentEvents()
    monkeypatch.setattr(event_stream, "recent", fresh)
    return fresh


def happen(count: int) -> list[int]:
    """Record so many events; their ids."""
    now = datetime.now(UTC)
    made = Event.objects.bulk_create(
        Event(at=now, group="program-1", name="x", from_state="stopped", state="starting", by="api")
        for _ in range(count)
    )
    return [event.pk for event in made]


def blocks(stream: event_stream.EventStream) -> list[list[int]]:
    """The ids of each block that the stream has, until it has nothing more."""
    found = []
    while text := stream.pull():
        found.append([int(line[4:]) for line in text.split(b"\n") if line.startswith(b"id: ")])
        assert len(found) < 100, "it has no end"
    return found


def in_blocks(ids: list[int]) -> list[list[int]]:
    return [ids[begin : begin + 10] for begin in range(0, len(ids), 10)]


@pytest.mark.parametrize("count", [1, 9, 10, 11, 20, 25, 57])
def test_what_is_new_comes_in_as_many_blocks_as_it_takes(
    recent: event_stream.RecentEvents, count: int
) -> None:
    past = happen(3)
    streams = [event_stream.EventStream() for _ in range(2)]
    received = happen(count)
    recent.expire()
    for stream in streams:
        assert blocks(stream) == in_blocks(received)
    assert blocks(event_stream.EventStream(last_event_id=past[0] - 1)) == in_blocks(past + received)


def test_events_of_other_programs_move_the_position_on(recent: event_stream.RecentEvents) -> None:
    position = happen(1)[0]
    received = happen(15)
    recent.expire()
    of_none = event_stream.EventStream(last_event_id=position, program=2)
    assert [of_none.pull(), of_none.pull(), of_none.pull()] == [
        b"id: %d\n\n" % received[9],
        b"id: %d\n\n" % received[14],
        b"",
    ]
    assert blocks(event_stream.EventStream(last_event_id=position, program=1)) == in_blocks(received)


def test_only_changes_to_a_state_are_sent(recent: event_stream.RecentEvents) -> None:
    position = happen(1)[0]
    received = happen(3)
    recent.expire()
    of_none = event_stream.EventStream(last_event_id=position, state="fatal")
    assert of_none.pull() == b"id: %d\n\n" % received[-1]
    assert blocks(event_stream.EventStream(last_event_id=position, state="starting")) == [received]


def test_state_is_one_of_the_states(stack: Stack) -> None:
    refused = stack.api.get(ROUTE, state="up")
    assert refused.json()["error"].startswith("Query parameter 'state' must be one of: running, ")


def test_what_is_kept_for_all_comes_in_blocks_too(recent: event_stream.RecentEvents) -> None:
    """Record events in steps, so that more than one block is known at the next query."""
    position = happen(1)[0]
    received: list[int] = []
    for count in (8, 8, 3):
        received += happen(count)
        recent.expire()
        recent.after(received[-1] - 1)
    assert len(recent._events) > event_stream._BLOCK
    assert blocks(event_stream.EventStream(last_event_id=position)) == in_blocks(received)
    assert blocks(event_stream.EventStream(last_event_id=received[14])) == [received[15:]]


def test_nothing_is_left_out_between_what_was_known_and_the_newest(recent: event_stream.RecentEvents) -> None:
    known = happen(5)
    recent.after(known[0] - 1)
    received = happen(25)
    recent.expire()
    assert blocks(event_stream.EventStream(last_event_id=known[2])) == in_blocks(known[3:] + received)
