"""Times for people."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from daemon_programs.admin.presentation.times import countdown, duration, until


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, "0:00"), (0.9, "0:00"), (200.5, "3:20"), (3599, "59:59"), (3800, "1:03:20")]
)
def test_rest_of_a_time_counts_down(seconds: float, shown: str) -> None:
    assert countdown(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 ms"),
        (0.0204, "20 ms"),
        (0.4, "0.4 s"),
        (9.94, "9.9 s"),
        (59.9, "59 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration_has_at_most_two_units(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_until_has_the_full_time_with_its_zone() -> None:
    at = datetime.fromtimestamp(int(time.time()), UTC) + timedelta(seconds=100)
    assert f'title="until {at:%Y-%m-%d %H:%M:%S}.000 UTC">1:' in until(at)
