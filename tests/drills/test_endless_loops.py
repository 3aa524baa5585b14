"""Programs that crash for ever: the history counts their rounds, and keeps what it has of others.

A pause is a second here. With the pauses of the defaults, an hour has about 65 rounds of a program.
"""

from pathlib import Path

from tests.drills import ROUNDS
from tests.events import Event, events
from tests.processes import shell
from tests.stack import Api, eventually, temporary_stack

LOOPS = 10
ROUNDS_OF_EACH = 14 * ROUNDS
KEPT_ROUNDS = 10
MOST_EVENTS = 1000
# What is kept of a loop: ten rounds of at most four changes, the row that counts, the last rounds, the stop.
MOST_ROWS = 10 * 4 + 1 + 2 * 4 + 2


def test_crash_loops_leave_the_history_of_others_alone(tmp_path: Path) -> None:
    with temporary_stack(DAEMON_EVENTS_MOST=str(MOST_EVENTS)) as stack:
        api = stack.start().api
        ids = [api.add() for _ in range(20)]
        for verb in ("start", "stop"):
            for id in ids:
                api.ok(f"programs/{id}/{verb}", {"wait": True} if verb == "start" else None)
        before = eventually(lambda: len(told := events(api)) >= 4 * len(ids) and told)
        loops = {add_loop(api, tmp_path, number): tmp_path / str(number) for number in range(LOOPS)}
        for id in loops:
            api.ok(f"programs/{id}/start")
        eventually(
            lambda: all(counted(events(api, id)) >= ROUNDS_OF_EACH - KEPT_ROUNDS for id in loops),
            60 + 4 * ROUNDS_OF_EACH,
            "the loops are counted",
        )
        for id in loops:
            api.ok(f"programs/{id}/stop")
        eventually(lambda: all(events(api, id)[-1]["state"] == "stopped" for id in loops))
        removed = stack.manage(
            "shell", "-c", "from daemon_programs.history import store; print(store.purge())"
        )
        assert removed.stdout.split()[-1] == "0"
        for id, starts in loops.items():
            told = events(api, id)
            assert len(told) <= MOST_ROWS
            # The last start may have been stopped in the middle of its round.
            assert len(starts.read_text()) - KEPT_ROUNDS - counted(told) in (0, 1)
        after = events(api)
        assert [event for event in after if event["program_id"] in ids] == before
        changes = sum(len(starts.read_text()) for starts in loops.values()) * 2
        print(f"{changes} changes at least, and {len(after)} rows")


def add_loop(api: Api, folder: Path, number: int) -> int:
    """Add a program that crashes, before it counts as running or after that, and notes each start."""
    return api.add(
        shell('printf x >> "$1"; exit 3', str(folder / str(number))),
        start_seconds=number % 2,
        start_retries=None,
        restart_delay_seconds=0,
        restart_delay_max_seconds=1,
    )


def counted(told: list[Event]) -> int:
    """Return how many rounds are counted only."""
    return max((event.get("repeated", 0) for event in told), default=0)
