"""Reading over all hosts on a real stack, which is one of its own hosts."""

import re
from collections.abc import Iterator

import pytest

from tests.admin_client import AdminClient, messages_of
from tests.fleet import hubs, scenes
from tests.processes import shell
from tests.stack import Api, Stack, eventually
from tests.stream_client import StreamClient

LIST = "fleet/followedprogram/"


@pytest.fixture(scope="module")
def program(staffed: Stack) -> Iterator[int]:
    """A program of the stack, which the stack as its own hub knows of as "followed"."""
    client = staffed.api
    id = client.add(shell("echo hello from a host; exec sleep 1000"), name="followed", log_timestamps=True)
    with scenes.hub(staffed, id):
        yield id
    client.ok(f"programs/remove/{id}")


def test_hosts_are_asked_for_their_logs(program: int, stack: Stack) -> None:
    api: Api = stack.api
    api.ok(f"programs/{program}/start", {"wait": True})
    eventually(lambda: "hello" in api.logs(program), what="the log is written")
    answer = api.get("fleet/logs", select="followed", grep="HELLO", ignore_case="true").json()
    assert [(line["host"], line["line"]) for line in answer["lines"]] == [("self", "hello from a host")]
    lost, own = answer["hosts"]
    assert own == {"name": "self"}
    assert (lost["name"], lost["code"]) == ("lost", "host_unreachable")
    assert lost["error"].startswith("Host 'lost' can't be reached: ")


def test_event_is_streamed_soon_after_the_hub_has_heard_of_it(program: int, stack: Stack) -> None:
    with StreamClient(stack, "fleet/events/stream", host="self") as stream:
        assert stream.status == 200
        scenes.hear(stack, 1)
        event = stream.until("state", 5)
        assert (event.data["host"], event.data["event"]["id"]) == ("self", 1)
        scenes.hear(stack, 2)
        assert stream.until("state", 5).data["event"]["id"] == 2
    with StreamClient(stack, "fleet/events/stream", after=event.id) as resumed:
        assert resumed.until("state", 5).data["event"]["id"] == 2


def test_button_on_the_page_of_a_host_works_there(program: int, stack: Stack, boss: AdminClient) -> None:
    stack.api.ok(f"programs/{program}/stop")
    page = boss.page(LIST, host="self")
    link = re.search(r"/admin/(fleet/followedprogram/\d+/)change/[^>]*><bdi>followed<", page)
    assert link
    said = messages_of(boss.post(f"{link[1]}operate/", {"start": "all"}, follow=True))
    assert said == ["“followed” on self: started."]
    assert stack.api.word(program) == "running"
    (call, *_) = hubs.rows(stack, 'SELECT "user", host, path, code FROM fleet_hostcall ORDER BY id DESC')
    path = f"/api/v1/daemon/programs/{program}/start"
    assert call == {"user": "boss", "host": "self", "path": path, "code": 200}
