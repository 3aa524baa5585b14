"""How often programs were restarted without a request, counted from the history."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from daemon_programs.history import restarts
from daemon_programs.history.restarts import Flapping, flapping, restarts_since
from daemon_programs.models import Event

Record = Callable[..., None]


@pytest.fixture
def record(db: None) -> Record:
    """Record starts of a program, so many seconds ago."""

    def starts(*ago: float, id: int = 1, by: str = "supervisord", port: int | None = None) -> None:
        Event.objects.bulk_create(
            Event(
                at=datetime.now(UTC) - timedelta(seconds=seconds),
                group=f"program-{id}",
                name="web",
                port=port,
                from_state="backoff",
                state="starting",
                by=by,
            )
            for seconds in ago
        )

    return starts


def count(rounds: int, ago: float, id: int = 1) -> None:
    """Record the event that stands for the rounds of a loop."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    Event.objects.create(
        at=at, group=f"program-{id}", name="web", from_state="exited", state="backoff", rounds=rounds
    )


def since(seconds: float) -> dict[str, int]:
    return restarts_since(datetime.now(UTC) - timedelta(seconds=seconds))


def test_restarts_of_a_program_and_its_instances_are_counted_since_a_time(record: Record) -> None:
    record(5, 50, 500)
    record(1, 2, id=2, port=8001)
    record(3, id=2, port=8002)
    assert since(60) == {"program-1": 2, "program-2": 3}


@pytest.mark.parametrize("by", ["api", "admin", "command", "boot", "daemon"])
def test_start_that_was_requested_is_no_restart(record: Record, by: str) -> None:
    record(1, by=by)
    assert since(60) == {}


@pytest.mark.parametrize("by", ["memory", "max_runtime", "supervisord"])
def test_every_restart_without_a_request_counts(record: Record, by: str) -> None:
    record(1, by=by)
    assert since(60) == {"program-1": 1}


def test_rounds_that_are_only_counted_count(record: Record) -> None:
    record(*range(40, 30, -1))
    count(25, ago=1)
    assert since(60) == {"program-1": 25}


def test_share_of_the_rounds_fits_the_time(record: Record) -> None:
    record(*range(1010, 1000, -1))
    count(110, ago=1)  # 100 further rounds in 1000 seconds
    assert since(101) == {"program-1": 10}


def test_program_is_flapping_from_three_restarts(record: Record) -> None:
    record(1, 2)
    record(1, 2, 3, id=2)
    record(100, 200, 300, 400, id=3)
    record(700, 800, 900, id=4)
    assert flapping() == {"program-2": Flapping(3, 1), "program-3": Flapping(4, 10)}
    assert flapping(["program-3"]) == {"program-3": Flapping(4, 10)}
    assert sorted(map(str, flapping().values())) == [
        "restarted 3 × in a minute",
        "restarted 4 × in 10 minutes",
    ]


def test_number_of_queries_does_not_grow_with_the_programs(
    record: Record, django_assert_num_queries: Callable[[int], object]
) -> None:
    for id in range(1, 30):
        record(1, 2, 3, id=id)
    with django_assert_num_queries(2):  # type: ignore[attr-defined]
        assert len(restarts.restarts_since(datetime.now(UTC) - timedelta(minutes=1))) == 29
