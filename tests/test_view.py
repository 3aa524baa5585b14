"""What a client is told of states: what has changed, of which it makes the whole."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from daemon_programs.supervisor.client import Supervisor
from daemon_programs.supervisor.view import View
from tests.processes import LONG_RUNNING, shell, started
from tests.stack import Api, Stack, eventually


class Recording(Supervisor):
    """A client that keeps what it was told last."""

    answer: dict[str, Any]

    def _call(self, method: str, *arguments: str | float) -> Any:
        self.answer = super()._call(method, *arguments)
        return self.answer


@pytest.fixture
def client(stack: Stack) -> Iterator[Recording]:
    made = Recording(stack.folder / "supervisor.sock")
    yield made
    made._disconnect()


def programs(client: Supervisor) -> dict[str, Any]:
    """The states of all programs, without what goes on by itself."""
    states: dict[str, Any] = client.states()["programs"]
    for state in states.values():
        for process in state["processes"].values():
            process.pop("uptime", None)
    return states


def agree(stack: Stack, client: Recording) -> None:
    """What was told bit by bit is what a new client is told as a whole."""

    def look() -> bool:
        fresh = Supervisor(stack.folder / "supervisor.sock")
        try:
            return programs(client) == programs(fresh)
        finally:
            fresh._disconnect()

    eventually(look)


def told(client: Recording) -> list[str]:
    """The groups that the next answer tells of."""
    client.states()
    return list(client.answer["programs"])


def test_only_what_has_changed_is_told(api: Api, client: Recording) -> None:
    first, second = (api.add(LONG_RUNNING) for _ in range(2))
    started(api, first)
    api.until(first, "running")
    eventually(lambda: not told(client))
    assert client.answer["names"] is None
    started(api, second)
    assert told(client) == [f"program-{second}"]
    api.ok(f"programs/remove/{second}")
    client.states()
    assert f"program-{second}" not in client.answer["names"]


def test_uptime_goes_on_without_being_told(api: Api, client: Recording) -> None:
    id = api.add(LONG_RUNNING)
    started(api, id)
    api.until(id, "running")
    eventually(lambda: not told(client))
    name = f"program-{id}"
    before, began = client.states()["programs"][name]["processes"][name]["uptime"], time.monotonic()
    time.sleep(0.3)
    passed = client.states()["programs"][name]["processes"][name]["uptime"] - before
    assert 0.25 < passed < time.monotonic() - began + 0.05


def test_each_change_is_told(stack: Stack, api: Api, client: Recording) -> None:
    id = api.add(LONG_RUNNING, autorestart="true", restart_delay_seconds=0, stable_seconds=2)
    agree(stack, client)
    pid = started(api, id)
    agree(stack, client)
    api.until(id, "running")
    agree(stack, client)
    api.ok(f"programs/{id}/signal", {"signal": "KILL"})
    eventually(lambda: api.pid(id) not in (None, pid))
    agree(stack, client)
    state = programs(client)[f"program-{id}"]["processes"][f"program-{id}"]
    assert state["restarts_since_stable"] == 1
    eventually(lambda: "restarts_since_stable" not in api.status(id))
    eventually(lambda: not told(client))
    agree(stack, client)
    for verb in ("edit/{id}", "{id}/stop", "{id}/disable", "{id}/enable", "remove/{id}"):
        body = {"description": "another"} if verb.startswith("edit") else {}
        api.ok(f"programs/{verb.format(id=id)}", body)
        agree(stack, client)


def test_findings_and_orphans_are_told(stack: Stack, api: Api, client: Recording) -> None:
    code = "(sleep 1000 &) ; sleep 0.5; echo up; exec sleep 1000"
    id = api.add(shell(code), ready={"log": "up"})
    agree(stack, client)
    api.ok(f"programs/{id}/start", {"wait": True})
    agree(stack, client)
    name = f"program-{id}"
    assert programs(client)[name]["processes"][name]["ready"] is True
    eventually(lambda: len(programs(client)[name]["processes"][name].get("orphans", [])) == 1)


def test_removal_by_an_operator_is_told(stack: Stack, api: Api, client: Recording) -> None:
    name = f"program-{api.add(LONG_RUNNING)}"
    eventually(lambda: name not in told(client))
    assert client._ask(lambda proxy: proxy.supervisor.removeProcessGroup(name))
    assert name not in client.states()["programs"]


def test_answer_of_another_supervisord_replaces_all() -> None:
    old = View("one", 7, {"a": state("running")}, {"a": 1.0})  # type: ignore[dict-item]
    answer: Any = {"boot": "two", "number": 1, "at": 2.0, "programs": {"b": state("stopped")}, "names": ["b"]}
    new = old.updated(answer)
    assert (new.boot, new.number, list(new.programs)) == ("two", 1, ["b"])


def test_late_answer_to_an_older_view_is_complete() -> None:
    """Two threads ask with the same view; the later answer must not lose what the earlier has brought."""
    view = View("one", 1, {"a": state("stopped"), "b": state("stopped")}, {"a": 1.0, "b": 1.0})  # type: ignore[dict-item]
    both = {"a": state("running"), "b": state("running")}
    answer: Any = {"boot": "one", "number": 3, "at": 2.0, "programs": both, "names": None}
    earlier: Any = {**answer, "number": 2, "programs": {"a": state("running")}}
    assert view.updated(answer).programs == both
    assert view.updated(earlier).programs == {"a": state("running"), "b": state("stopped")}


def state(word: str) -> dict[str, Any]:
    return {"changing": False, "digest": "", "processes": {"p": {"state": word}}}
