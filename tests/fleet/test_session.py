"""One host is followed: what is asked for, in which order, and what becomes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from fleet.following import connection
from fleet.following import session as sessions
from fleet.following.connection import Lost
from fleet.following.heard import Heard
from fleet.following.known import state_of
from fleet.following.session import Session
from fleet.models import Host, Link
from tests.fleet.simulated_host import SimulatedHost, refusal


class Followed:
    """A session of a simulated host, and all that it has told."""

    session: Session

    def __init__(self, simulated: SimulatedHost) -> None:
        self.simulated = simulated
        self.heard = Heard()

    async def tell(self, host: int, heard: Heard) -> None:
        self.heard.add(heard)

    @property
    def link(self) -> dict[str, Any]:
        return self.heard.link

    @property
    def states(self) -> dict[int, str]:
        return {id: state_of(now.document) for id, now in self.heard.programs.items() if now}

    @property
    def numbers(self) -> list[int]:
        return [event["id"] for event in self.heard.events]

    async def until(self, check: Callable[[], Any]) -> None:
        async with asyncio.timeout(5):
            while not check():
                await asyncio.sleep(0.01)

    async def until_state(self, state: str) -> None:
        await self.until(lambda: self.link.get("state") == state)


Test = Callable[[Followed], Awaitable[None]]


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that runs a test beside a session."""
    monkeypatch.setattr(Host, "token", property(lambda host: "hdt_test"))
    monkeypatch.setattr(sessions, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(sessions, "_SOON_SECONDS", 0.05)
    monkeypatch.setattr(sessions, "_LONGEST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(sessions, "_REFUSED_PAUSE_SECONDS", 0.05)

    async def run(simulated: SimulatedHost, test: Test, position: int | None, url: str) -> None:
        async with simulated.running(), aiohttp.ClientSession() as http:
            host = Host(pk=1, name="web-1", url=url or simulated.url)
            host.link = Link(host=host, position=position)
            followed = Followed(simulated)
            followed.session = Session(http, host, followed.tell)
            task = asyncio.create_task(followed.session.run())
            try:
                await test(followed)
            finally:
                task.cancel()
                await asyncio.wait([task])

    def follow(simulated: SimulatedHost, test: Test, *, position: int | None = None, url: str = "") -> None:
        asyncio.run(run(simulated, test, position, url))

    return follow


Follow = Callable[..., None]


def test_first_connection_takes_the_newest_events_and_all_programs(follow: Follow) -> None:
    simulated = SimulatedHost()
    simulated.programs = [simulated.program(1, "running"), simulated.program(2, enabled=False)]
    for _ in range(120):
        simulated.happen("fatal")

    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        assert followed.numbers == list(range(21, 121))
        assert simulated.resumed == [120]
        assert followed.states == {1: "running", 2: "disabled"}  # not what old events say
        assert followed.heard.has_all_programs
        assert (followed.link["version"], followed.link["machine"]) == ("9.9.9", {"cpus": 2})
        assert followed.link["since"] is not None is not followed.link["heard_at"]
        assert len(followed.heard.usage) == 1

    follow(simulated, test)


def test_host_without_a_history_is_followed_from_its_first_event(follow: Follow) -> None:
    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        assert followed.heard.position == 0
        followed.simulated.happen("running", pid=7)
        await followed.until(lambda: followed.states == {1: "running"})
        assert (followed.numbers, followed.heard.position) == ([1], 1)

    follow(SimulatedHost(), test)


def test_it_is_resumed_after_the_last_event_and_old_events_change_no_state(follow: Follow) -> None:
    simulated = SimulatedHost()
    for _ in range(5):
        simulated.happen("fatal")

    async def test(followed: Followed) -> None:
        await followed.until(lambda: followed.numbers == [3, 4, 5])
        await followed.until_state("current")
        assert followed.states == {1: "stopped"}
        simulated.cut()
        await followed.until_state("lost")
        assert followed.link["error"] == "Host 'web-1' has ended the stream"
        simulated.programs = [simulated.program(1, "running"), simulated.program(3)]
        simulated.happen("running")
        await followed.until_state("current")
        await followed.until(lambda: followed.numbers == [3, 4, 5, 6])
        assert simulated.resumed[:2] == [2, 5]
        assert followed.link["error"] == ""
        assert followed.states == {1: "running", 3: "stopped"}

    follow(simulated, test, position=2)


def test_event_during_a_snapshot_is_not_undone_by_it(follow: Follow) -> None:
    simulated = SimulatedHost()

    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        simulated.on_snapshot = lambda: simulated.history or simulated.happen("running")
        simulated.programs = [simulated.program(1, description="so it is looked at")]
        await followed.until(lambda: followed.states == {1: "running"})
        assert followed.heard.programs[1].document["description"]

    follow(simulated, test)


def test_edits_are_found_and_soon_after_changes_by_people(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = SimulatedHost()

    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        simulated.programs = [simulated.program(1, name="other")]
        await followed.until(lambda: followed.heard.programs[1].document["name"] == "other")
        monkeypatch.setattr(sessions, "LOOK_SECONDS", 100)
        await asyncio.sleep(0.3)
        simulated.programs = []
        simulated.happen("stopped", user="alice")
        await followed.until(lambda: followed.heard.programs == {1: None})

    follow(simulated, test)


def test_snapshots_are_taken_if_something_may_have_changed(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "LOOK_SECONDS", 0.02)
    simulated = SimulatedHost()

    def snapshots() -> list[dict[str, str]]:
        return [query for route, query in simulated.asked if route == "programs" and query]

    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        first = followed.link["heard_at"]
        await asyncio.sleep(0.3)
        assert followed.link["heard_at"] > first
        assert len(snapshots()) == 2  # the first one, and that which belongs to the first configuration
        assert ["include_stats" in query for query in snapshots()] == [True, False]
        assert len(followed.heard.usage) == 1
        monkeypatch.setattr(sessions, "_USAGE_SECONDS", 0)
        followed.session._usage_due = 0.0
        await followed.until(lambda: len(followed.heard.usage) > 2)

    follow(simulated, test)


def test_removed_events_are_told(follow: Follow) -> None:
    simulated = SimulatedHost()

    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        simulated.send('event: reset\ndata: {"reason": "purged"}\n\n: keep-alive\n\nid: 8\n\n')
        await followed.until(lambda: followed.heard.position == 8)
        await followed.until(lambda: "removed from its history" in followed.link["error"])
        assert followed.link["state"] == "current"

    follow(simulated, test)


def test_history_that_was_replaced_is_followed_from_its_end(follow: Follow) -> None:
    simulated = SimulatedHost()
    simulated.happen("running")

    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        assert (followed.heard.replaced_after, followed.heard.position) == (1, 1)
        assert "replaced" in followed.link["error"]
        assert simulated.resumed == [1]

    follow(simulated, test, position=50)


def test_earlier_version_tells_its_version_in_the_metrics(follow: Follow) -> None:
    simulated = SimulatedHost()
    simulated.machine = None

    async def test(followed: Followed) -> None:
        await followed.until_state("current")
        assert (followed.link["version"], followed.link["machine"]) == ("1.0.0", {})

    follow(simulated, test)


@pytest.mark.parametrize(
    ("route", "answer", "state", "sentence"),
    [
        ("events", refusal(401, "Invalid token"), "refused", "Host 'web-1' answers: Invalid token"),
        ("programs", refusal(403, "No"), "refused", "Host 'web-1' answers: No"),
        ("events/stream", refusal(429, "Too many"), "lost", "Host 'web-1' answers: Too many"),
        ("events", refusal(302, "x"), "lost", "Host 'web-1' answers: x"),
        ("programs", None, "lost", "Host 'web-1' can't be understood: KeyError('programs')"),
    ],
)
def test_what_goes_wrong_is_a_sentence(
    follow: Follow, route: str, answer: Any, state: str, sentence: str
) -> None:
    simulated = SimulatedHost()

    async def test(followed: Followed) -> None:
        simulated.faults[route] = answer or refusal(200, "something else")
        await followed.until_state(state)
        assert followed.link["error"] == sentence
        simulated.faults.clear()
        await followed.until_state("current")
        assert followed.link["error"] == ""

    follow(simulated, test)


def test_host_that_is_away_is_lost(follow: Follow) -> None:
    async def test(followed: Followed) -> None:
        await followed.until_state("lost")
        assert followed.link["error"] == "Host 'web-1' can't be reached: Connection refused"
        assert "heard_at" not in followed.link

    follow(SimulatedHost(), test, url="http://127.0.0.1:1")


def test_host_that_is_away_for_days_is_still_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 2000:
            raise asyncio.CancelledError

    async def lost(session: Session, connection: object) -> None:
        raise Lost("It is away")

    async def tell(host: int, heard: Heard) -> None: ...

    monkeypatch.setattr(Host, "token", property(lambda host: "hdt_test"))
    monkeypatch.setattr(sessions.asyncio, "sleep", pause)
    monkeypatch.setattr(sessions.random, "uniform", lambda low, high: high)
    monkeypatch.setattr(Session, "_follow", lost)
    host = Host(pk=1, name="web-1", url="http://web-1:1")
    host.link = Link(host=host)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Session(None, host, tell).run())  # type: ignore[arg-type]
    assert pauses[:5] == [0.5, 1, 2, 4, 4]
    assert set(pauses[5:]) == {4}


def test_host_that_does_not_answer_when_asked_for_its_stream_is_asked_again(
    follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_ANSWER_SECONDS", 0.2)
    simulated = SimulatedHost()
    simulated.may_answer.clear()

    async def test(followed: Followed) -> None:
        await followed.until_state("lost")
        assert followed.link["error"] == "Host 'web-1' can't be reached: no answer in time"
        simulated.may_answer.set()
        await followed.until_state("current")
        asked = len(simulated.resumed)
        await asyncio.sleep(0.3)  # the stream may be silent for longer
        assert (followed.link["state"], len(simulated.resumed)) == ("current", asked)

    follow(simulated, test)


def test_host_whose_answers_have_no_end_is_lost(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_BYTES", 10)

    async def test(followed: Followed) -> None:
        await followed.until_state("lost")
        assert "an answer is too long" in followed.link["error"]

    follow(SimulatedHost(), test)
