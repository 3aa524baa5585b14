"""The logs of several hosts: asked for side by side, merged by time, and what keeps a host from answering."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fleet import client
from fleet.client import Answer
from fleet.exceptions import HostUnreachable, NoConnection, TokenUnreadable
from fleet.models import Host
from fleet.reading import logs
from tests.fleet.conftest import Reader
from tests.fleet.copies import add_host

pytestmark = pytest.mark.django_db
Answers = dict[str, Any]


def line(text: str, time: str | None = None) -> dict[str, Any]:
    return {"program": "web", "id": 1, "stream": "stdout", "time": time, "line": text}


def lines(*found: dict[str, Any], **more: Any) -> Answer:
    return Answer(200, {"success": True, "lines": list(found), **more})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the hosts were asked for."""
    return []


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, asked: list[Any]) -> Callable[..., None]:
    """Return the function that says what each host answers, by its name."""

    def set_answers(**answers: Any) -> None:
        def call(host: Host, method: str, route: str, **options: Any) -> Answer:
            asked.append((host.name, method, route, options))
            found = answers[host.name]
            if isinstance(found, Exception):
                raise found
            return found() if callable(found) else found  # type: ignore[no-any-return]

        for name in answers:
            add_host(name)
        monkeypatch.setattr(client, "call", call)

    return set_answers


def read(reader: Reader, **query: Any) -> list[str]:
    return [f"{each['host']}: {each['line']}" for each in reader.ok("fleet/logs", **query)["lines"]]


def test_lines_are_merged_by_time_and_others_stay_behind_theirs(reader: Reader, answer: Any) -> None:
    answer(
        a=lines(line("one", "T1"), line("trace"), line("four", "T4"), line("set back", "T3")),
        b=lines(line("before"), line("two", "T2"), line("five", "T5")),
    )
    assert read(reader) == ["a: one", "a: trace", "b: before", "b: two", "a: four", "a: set back", "b: five"]
    assert read(reader, lines="2") == ["a: set back", "b: five"]


def test_hosts_are_asked_for_the_person_with_the_query_but_the_hosts(
    reader: Reader, answer: Any, asked: list[Any]
) -> None:
    answer(a=lines(), b=lines())
    query = {
        "select": ["web", "@fatal"],
        "since": "10m",
        "grep": "x",
        "type": "stderr",
    }
    reader.ok("fleet/logs", host="a", host_label=[], **query)
    ((name, method, route, options),) = asked
    assert (name, method, route) == ("a", "GET", "logs")
    assert options["query"] == {**query, "since": ["10m"], "grep": ["x"], "type": ["stderr"]}
    assert options["user"].startswith("reader")
    assert options["seconds"] == 5


@pytest.mark.parametrize(
    ("found", "error", "code"),
    [
        (HostUnreachable("Timed out"), "Timed out", "host_unreachable"),
        (NoConnection("No"), "No", "host_unreachable"),
        (TokenUnreadable("No key"), "No key", "host_token_unreadable"),
        (Answer(404, {"error": "No such", "code": "not_found"}), "No such", "not_found"),
        (Answer(500, None), "The host has answered with the status 500", "host_answer"),
        (Answer(200, {"lines": "?"}), "Its answer is not that of a daemon", "host_answer"),
        (Answer(200, ["?"]), "Its answer is not that of a daemon", "host_answer"),
    ],
)
def test_host_that_does_not_answer_is_told_and_hides_no_other(
    reader: Reader, answer: Any, found: Any, error: str, code: str
) -> None:
    answer(a=lines(line("x", "T1")), b=found)
    document = reader.ok("fleet/logs")
    assert document["hosts"] == [{"name": "a"}, {"name": "b", "error": error, "code": code}]
    assert [each["host"] for each in document["lines"]] == ["a"]
    assert "truncated" not in document


def test_host_that_refuses_the_token_is_not_asked(reader: Reader, answer: Any, asked: list[Any]) -> None:
    answer(a=lines())
    add_host("b", state="refused", error="It is not valid")
    document = reader.ok("fleet/logs")
    assert document["hosts"][1] == {
        "name": "b",
        "error": "It is not valid",
        "code": "host_refused",
    }
    assert [name for name, *_ in asked] == ["a"]


def test_host_that_takes_too_long_is_told(
    reader: Reader, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_WHOLE_SECONDS", 0.1)
    end = threading.Event()

    def wait() -> Answer:
        end.wait(10)
        return lines()

    answer(a=wait, b=lines(line("x")))
    document = reader.ok("fleet/logs")
    end.set()
    assert document["hosts"][0]["error"] == "It has not answered in time"
    assert len(document["lines"]) == 1


def test_host_speaks_for_no_other(reader: Reader, answer: Any) -> None:
    answer(a=lines({**line("x"), "host": "b"}, problems=[{"host": "b", "error": "?"}]))
    document = reader.ok("fleet/logs")
    assert {each["host"] for each in (*document["lines"], *document["problems"])} == {"a"}


def test_problems_and_cuts_of_hosts_are_told(reader: Reader, answer: Any) -> None:
    problem = {"program": "web", "id": 1, "stream": "stderr", "error": "The log can't be read"}
    answer(a=lines(problems=[problem]), b=lines(line("x"), truncated=True))
    document = reader.ok("fleet/logs")
    assert document["problems"] == [{"host": "a", **problem}]
    assert document["truncated"] is True


def test_newest_lines_win_if_not_all_have_room(
    reader: Reader, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(a=lines(line("old", "T1"), line("new", "T2"), line("newest", "T3")))
    monkeypatch.setattr("fleet.api.fleet.room_of", lambda request: 180)
    document = reader.ok("fleet/logs")
    assert [each["line"] for each in document["lines"]] == ["new", "newest"]
    assert document["truncated"] is True


def test_more_hosts_than_are_asked_at_once_are_refused(reader: Reader, answer: Any) -> None:
    answer(**{f"h{number}": lines() for number in range(21)})
    assert reader.refused("fleet/logs") == "These are 21 hosts, and at most 20 are asked at once"
    assert reader.ok("fleet/logs", host="h1*")["lines"] == []


def test_query_of_logs_is_checked_here(reader: Reader) -> None:
    assert reader.refused("fleet/logs", type="both2").startswith("Invalid 'type' value")
    assert reader.refused("fleet/logs", limit="1") == "Unknown query parameter 'limit'"
