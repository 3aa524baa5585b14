"""The retention time of ended programs, after which nothing is left of them."""

import re
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils.module_loading import import_string

from tests import database
from tests.processes import shell
from tests.stack import OWN_USER, Api, Stack, eventually
from tests.temporary_programs import Quick, left_of, log_folders, purge, records, until_gone

RETENTION = timedelta(seconds=600)  # the default


def let_pass(stack: Stack, ids: Iterable[str], time: timedelta = RETENTION) -> None:
    """Let some time have passed since programs ended."""
    ended = f"{(datetime.now(UTC) - time).replace(tzinfo=None)}{database.UTC}"
    with database.opened(stack.folder) as rows:
        for id in ids:
            changed = rows.execute(
                "UPDATE quick_start_ephemeralprogram SET ended_at = ?"
                " WHERE temporary_id = ? AND ended_at IS NOT NULL",
                [ended, id],
            )
            assert changed.rowcount == 1


def test_ended_program_can_be_asked_about_until_the_retention_is_over(quick: Quick, stack: Stack) -> None:
    id = quick.launch("echo one", wait="exit")["temporary_id"]
    let_pass(stack, [id], RETENTION - timedelta(seconds=30))
    purge(stack)
    assert quick.status(id)["status"] == "exited"
    assert quick.logs(id) == "one"
    assert quick.stop(id)["cleaned_up"] is True
    let_pass(stack, [id])
    for answer in (
        quick.api.get(f"quick-start/{id}/status"),
        quick.api.get(f"quick-start/{id}/logs"),
        quick.api.post(f"quick-start/{id}/stop"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"] == f"Ephemeral program with ID {id} not found"
    assert id in records(stack), "the queue has not come to it yet"


def test_two_hundred_concurrent_launches_leave_nothing_behind(
    quick: Quick, stack: Stack, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    before = schedules(stack)
    answers = launch_at_once(stack, 200, shell("echo x >> $1", str(ran)))
    ids = {answer["temporary_id"] for answer in answers}
    names = {answer["name"] for answer in answers}
    assert len(ids) == len(names) == 200
    assert all(re.fullmatch(r"quick_\d+", id) for id in ids)

    ends = eventually(lambda: all_ended(stack, ids), 60, "all have ended")
    assert {(end["final_status"], end["exit_code"], end["error"]) for end in ends} == {("exited", 0, "")}
    assert ran.read_text() == "x\n" * 200, "each has run once"
    until_gone(stack, ids)
    assert not ids & set(quick.listed())

    let_pass(stack, ids)
    assert purge(stack) >= 200
    assert not ids & set(records(stack))
    assert not names & log_folders(stack)
    assert schedules(stack) == before
    assert not ids & left_of(stack)


def all_ended(stack: Stack, ids: set[str]) -> list[dict[str, Any]]:
    """Return the records, once all are complete."""
    known = [record for id, record in records(stack).items() if id in ids]
    return known if len(known) == len(ids) and all(record["ended_at"] for record in known) else []


def launch_at_once(stack: Stack, count: int, command: str) -> list[dict[str, str]]:
    """As many clients, each with a connection of its own, that begin at the same moment."""
    together = threading.Barrier(count)

    def launch(_: int) -> dict[str, str]:
        client = stack.api
        client.get("health")  # the connection stands
        together.wait(60)
        body = {"command": command, "user": OWN_USER}
        while (response := client.post("quick-start", body)).status_code == 503:
            assert response.json()["code"] == "busy", response.text  # nothing was changed
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(launch, range(count)))


def test_purge_spares_what_lives(quick: Quick, stack: Stack) -> None:
    id = quick.run(shell("echo one; exec sleep 1000"))
    eventually(lambda: quick.logs(id) == "one")
    purge(stack)
    assert quick.logs(id) == "one"
    assert quick.status(id)["status"] in ("starting", "running")


@pytest.mark.parametrize(
    "name", ["a name of its own", "with/slash", "ж" * 128], ids=["plain", "slash", "long"]
)
def test_purge_removes_the_log_folder_whatever_the_name(quick: Quick, stack: Stack, name: str) -> None:
    before = log_folders(stack)
    id = quick.launch(shell("seq 1000"), name=name, log_max_bytes=1000, wait="exit")["temporary_id"]
    assert len(log_folders(stack) - before) == 1
    let_pass(stack, [id])
    purge(stack)
    assert log_folders(stack) <= before


def test_purge_leaves_alone_the_logs_that_were_asked_for(quick: Quick, stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "out.log"
    answer = quick.launch("echo one", stdout_logfile=str(log), wait="exit")
    let_pass(stack, [answer["temporary_id"]])
    purge(stack)
    assert log.read_text() == "one\n"
    assert answer["name"] not in log_folders(stack), "of standard error"


def test_purge_leaves_alone_the_logs_of_a_program_of_that_name(quick: Quick, api: Api, stack: Stack) -> None:
    """Use the name that a launch was given for another program."""
    answer = quick.launch("echo temporary", wait="exit")
    lasting = api.add("echo lasting", name=answer["name"])
    api.ok(f"programs/{lasting}/start", {"wait": True})
    let_pass(stack, [answer["temporary_id"]])
    purge(stack)
    assert "lasting" in api.logs(lasting)


def test_queue_has_the_schedules_and_knows_what_they_call(stack: Stack) -> None:
    wanted = {"quick_start.tasks.reconcile_temporary_programs", "quick_start.tasks.purge_temporary_programs"}
    functions = {function for _, function in schedules(stack)}
    assert wanted <= functions
    for function in wanted:
        assert callable(import_string(function))


def schedules(stack: Stack) -> set[tuple[str, str]]:
    with database.opened(stack.folder) as rows:
        return set(rows.execute("SELECT name, func FROM django_q_schedule").fetchall())
