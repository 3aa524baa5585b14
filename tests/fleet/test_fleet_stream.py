"""The stream of the events of all hosts, without a client: what a pull gives."""

import json
from typing import Any

import pytest

from daemon_programs.validators.labels import Selector
from fleet.models import FollowedEvent, Host
from fleet.reading import event_stream
from fleet.reading.event_stream import FleetEventStream
from tests.fleet.copies import add_event, add_host

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for new rows at each pull."""
    monkeypatch.setattr(event_stream, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(event_stream, "_newest", event_stream._Newest())


@pytest.fixture
def web() -> Host:
    return add_host("web", labels={"dc": "a"})


def pulled(stream: FleetEventStream) -> list[tuple[str, Any]]:
    """Return the names and the data of the events of a pull; "id" and the position without any."""
    found = []
    for block in filter(None, stream.pull().decode().split("\n\n")):
        fields = dict(text.split(": ", 1) for text in block.split("\n"))
        found.append((fields.get("event", "id"), json.loads(fields.get("data", fields.get("id", "")))))
    return found


def test_stream_begins_now_and_each_event_comes_once(web: Host) -> None:
    newest = add_event(web, 1)
    stream = FleetEventStream([], [])
    head = stream.start(None, lambda: None).decode()  # type: ignore[arg-type]
    assert f"id: {newest}\n\n" in head
    assert pulled(stream) == []
    id = add_event(web, 2)
    ((name, data),) = pulled(stream)
    assert (name, data["id"], data["host"], data["event"]["id"]) == ("state", id, "web", 2)
    assert pulled(stream) == []


def test_stream_is_resumed_after_an_event(web: Host) -> None:
    ids = [add_event(web, number) for number in (1, 2, 3)]
    stream = FleetEventStream([], [], last_event_id=ids[0])
    assert [data["id"] for _, data in pulled(stream)] == ids[1:]


def test_stream_has_the_events_of_chosen_hosts_and_states(web: Host) -> None:
    other = add_host("other")
    streams = [FleetEventStream(["w*"], []), FleetEventStream([], [Selector("dc", None)])]
    only = FleetEventStream([], [], state="running")
    add_event(other, 1, "running")
    add_event(web, 1, "exited")
    for stream in streams:
        assert [data["host"] for _, data in pulled(stream)] == ["web"]
    assert [data["host"] for _, data in pulled(only)] == ["other"]


def test_events_of_others_move_the_position(web: Host) -> None:
    stream = FleetEventStream(["nothing"], [])
    id = add_event(web, 1)
    assert pulled(stream) == [("id", id)]
    assert pulled(stream) == []


def test_host_that_is_added_later_is_followed(web: Host) -> None:
    stream = FleetEventStream(["w*"], [])
    add_event(web, 1)
    assert len(pulled(stream)) == 1
    add_event(add_host("w2"), 1)
    assert [data["host"] for _, data in pulled(stream)] == ["w2"]


def test_reset_tells_that_events_were_removed(web: Host) -> None:
    ids = [add_event(web, number) for number in range(4)]
    FollowedEvent.objects.filter(pk__lt=ids[3]).delete()
    stream = FleetEventStream([], [], last_event_id=ids[0])
    (reset, event) = pulled(stream)
    assert reset == ("reset", {"reason": "purged"})
    assert event[1]["id"] == ids[3]
    later = FleetEventStream([], [], last_event_id=ids[3] + 1000)
    assert pulled(later)[0] == ("reset", {"reason": "purged"})


def test_long_absence_is_made_up_for_in_blocks(web: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "_BLOCK", 2)
    first = add_event(web, 0)
    for number in range(1, 6):
        add_event(web, number)
    stream = FleetEventStream([], [], last_event_id=first)
    blocks = [len(pulled(stream)) for _ in range(4)]
    assert blocks == [2, 2, 1, 0]
