"""What a program's page tells of its past: events with loops as one row, and changes by people."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User

from daemon_programs.admin.program.activity import changes_of, events_of
from daemon_programs.history import loops
from daemon_programs.models import Event, Program
from tests.admin_client import text_of

NOW = datetime.now(UTC)


@pytest.fixture
def program(db: None) -> Program:
    (program,) = Program.objects.bulk_create([Program(name="web", command="true", user="root")])
    return program


def record(program: Program, *changes: tuple[str, str], **fields: Any) -> None:
    """Record changes, as the event listener does."""
    for before, after in changes:
        ended = {"exit_code": 3} if after == "exited" else {}
        values = {"by": "supervisord", **ended, **fields}
        event = Event.objects.create(
            at=NOW, group=program.group, name="web", from_state=before, state=after, **values
        )
        loops.fold([event])


FIRST = [("stopped", "starting")]
ROUND = [("starting", "running"), ("running", "exited"), ("exited", "backoff")]
AGAIN = [("backoff", "starting"), *ROUND]


def shown(program: Program) -> list[str]:
    return [
        f"{row['key'].value if row['key'] else ''}|{text_of(row['change'])}|{row['outcome']}|{row['by']}"
        for row in events_of(program)["rows"]
    ]


LOOP = "|backoff → starting → running → exited → backoff × {}|it ended with exit code 3|supervisord"


@pytest.mark.parametrize("rounds", [2, 9, 14, 30])
def test_rounds_of_a_loop_are_one_row(program: Program, rounds: int) -> None:
    record(program, *FIRST, by="admin", user="boss")
    record(program, *ROUND)
    for _ in range(rounds):
        record(program, *AGAIN)
    record(program, ("backoff", "starting"))
    rows = shown(program)
    assert rows[:2] == ["|backoff → starting||supervisord", LOOP.format(rounds)]
    assert rows[2:] == [  # the first round was requested
        "|exited → backoff||supervisord",
        "|running → exited|it ended with exit code 3|supervisord",
        "|starting → running||supervisord",
        "|stopped → starting||admin: boss",
    ]


def test_loops_of_instances_are_told_apart_and_an_end_of_a_loop_is_kept(program: Program) -> None:
    for _ in range(4):
        record(program, *AGAIN, port=8001)
        record(program, *AGAIN, port=8002)
    record(program, ("backoff", "stopped"), port=8001, by="admin", user="boss")
    rows = shown(program)
    assert rows == ["8001|backoff → stopped||admin: boss", "8002" + LOOP.format(4), "8001" + LOOP.format(4)]


def test_events_that_are_no_loop_are_rows_of_their_own_and_links(program: Program) -> None:
    for _ in range(3):
        record(program, ("stopped", "starting"), ("starting", "running"), by="api", user="alice")
        record(program, ("running", "stopping"), ("stopping", "stopped"), by="api", user="alice")
    rows = events_of(program)["rows"]
    assert len(rows) == 10
    newest = Event.objects.latest("pk")
    assert rows[0]["url"] == f"/admin/daemon_programs/event/{newest.pk}/change/"
    assert "×" not in "".join(shown(program))


def test_last_changes_say_who_what_and_whether_it_runs_since(program: Program) -> None:
    boss = User.objects.create_superuser("boss")
    for number in range(7):
        entry = LogEntry.objects.log_actions(
            boss.pk, [program], CHANGE, f"<b>change {number}", single_object=True
        )
        LogEntry.objects.filter(pk=entry.pk).update(action_time=NOW - timedelta(minutes=10 - number))
    rows = changes_of(program, since=(NOW - timedelta(minutes=5, seconds=30)).timestamp())["rows"]
    assert [(row["user"], row["what"], row["is_new"]) for row in rows] == [
        ("boss", "<b>change 6", True),
        ("boss", "<b>change 5", True),
        ("boss", "<b>change 4", False),
        ("boss", "<b>change 3", False),
        ("boss", "<b>change 2", False),
    ]
