"""Samples of a real stack: what a busy program shows, and what is left after the API was restarted."""

import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.admin_client import PROGRAMS, AdminClient, create_users
from tests.processes import python, started
from tests.stack import OWN_USER, Stack, eventually, temporary_stack

RECORDS = "quick_start/ephemeralprogram/"
# It uses a quarter of a processor at most: the other tests need theirs.
HOG = python(
    "import time\nblock = bytearray(200 * 2**20)\nwhile True:\n"
    "    until = time.process_time() + 0.05\n    while time.process_time() < until: pass\n"
    "    time.sleep(0.15)"
)


@pytest.fixture(scope="module")
def busy() -> Iterator[Stack]:
    with temporary_stack() as stack:
        yield stack.start()


def columns(admin: AdminClient, path: str, **query: Any) -> list[list[Any]]:
    response = admin.get(f"{path}usage/", **query)
    assert response.status_code == 200, response.text
    return response.json()["columns"]  # type: ignore[no-any-return]


def worker(stack: Stack) -> psutil.Process:
    return psutil.Process(int(stack.client(None).get("health").json()["pid"]))


def test_busy_program_shows_and_its_history_outlasts_the_api(busy: Stack) -> None:
    create_users(busy, iterations=1)
    admin = AdminClient(busy)
    id = busy.api.add(HOG)
    started(busy.api, id)
    page = f"{PROGRAMS}{id}/"
    times, cpu, memory = eventually(
        lambda: (
            (found := columns(admin, page)) and max((each or 0 for each in found[1]), default=0) > 5 and found
        ),
        60,
        "a sample of a whole interval",
    )
    assert max(cpu) <= 35
    assert max(memory) > 200 * 2**20
    assert columns(admin, page, span="hour")[0][0] == pytest.approx(times[0], abs=1)

    old = worker(busy)
    old.parent().send_signal(signal.SIGTERM)  # gunicorn's master; supervisord starts it again
    eventually(lambda: not old.is_running(), 30)
    eventually(lambda: busy._is_up() and worker(busy).pid != old.pid, 60)
    assert (busy.folder / "samples").stat().st_mode & 0o777 == 0o600
    again = columns(admin, page)
    assert again[0][0] == pytest.approx(times[0], abs=2)
    assert [again[1][: len(cpu)], again[2][: len(memory)]] == [cpu, memory]
    eventually(lambda: (columns(admin, page)[1][-1] or 0) > 5, 60, "the next sample")

    # A file that is damaged does not keep the API from starting.
    old = worker(busy)
    old.parent().suspend()  # so that nothing is written meanwhile
    old.kill()
    (busy.folder / "samples").write_bytes(b"nothing of the kind")
    old.parent().resume()
    eventually(lambda: busy._is_up() and worker(busy).pid != old.pid, 60)
    log = busy.folder / "stack-logs" / "api.log"
    eventually(lambda: "Earlier samples of usage are dropped" in log.read_text(), 30)


def test_usage_is_shown_to_those_who_may_view_the_program(busy: Stack) -> None:
    create_users(busy, iterations=1)
    id = busy.api.add()
    quick = busy.api.ok("quick-start", {"command": "sleep 1000", "user": OWN_USER})
    boss = AdminClient(busy)
    records = boss.page(RECORDS)
    pk = next(part.split("/")[0] for part in records.split(f"/admin/{RECORDS}")[1:] if part[0].isdigit())
    for path in (f"{PROGRAMS}{id}/", f"{RECORDS}{pk}/"):
        for person, status in (
            ("boss", 200),
            ("viewer", 200),
            ("operator", 200),
            ("blind", 403),
            ("clerk", 403),
        ):
            assert AdminClient(busy, person).get(f"{path}usage/").status_code == status, (path, person)
        assert len(columns(boss, path, span="day")) == 3
        assert boss.get(f"{path}usage/", span="week").status_code == 400
        assert boss.post(f"{path}usage/", {}).status_code == 405
    assert boss.get(f"{PROGRAMS}999999/usage/").json()["columns"] == [[], [], []]
    assert quick
