"""What only reads never waits for those who write."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from tests import database
from tests.admin_client import AdminClient, create_users
from tests.processes import LONG_RUNNING, started
from tests.stack import Stack, eventually, temporary_stack
from tests.temporary_programs import Quick

ENOUGH = 2.0  # seconds; a read that waits for the writer would take five or more
PAGES = (
    "",
    "daemon_programs/program/",
    "daemon_programs/event/",
    "daemon_programs/delivery/",
    "quick_start/ephemeralprogram/",
    "hoody_site/apitoken/",
    "auth/user/",
)


@pytest.fixture(scope="module")
def busy() -> Iterator[Stack]:
    with temporary_stack() as stack:
        yield stack.start()


@contextmanager
def writer(stack: Stack) -> Iterator[None]:
    """Be another process in the middle of a change, as long as the block takes."""
    with database.opened(stack.folder) as other:
        other.keep_writers_waiting()
        yield


def test_reads_do_not_wait_for_a_writer(busy: Stack) -> None:
    api = busy.api
    id = api.add(LONG_RUNNING, name="read")
    started(api, id)
    quick = Quick(busy)
    ended = quick.launch("true", wait="exit")["temporary_id"]
    create_users(busy)
    desk = AdminClient(busy, "boss")
    routes = [
        "health",
        "programs",
        f"programs/{id}",
        f"programs/{id}/logs",
        f"programs/{id}/events",
        f"programs/{id}/deliveries",
        "events",
        "status",
        f"status/{id}",
        "quick-start",
        f"quick-start/{ended}/status",
        f"quick-start/{ended}/logs",
    ]
    fresh = [busy.manage("create_token", "admin", name).stdout.strip() for name in ("new", "newer")]
    reads: dict[str, Callable[[], requests.Response]] = {
        **{route: lambda route=route: api.get(route) for route in routes},
        "first use of a token": lambda: busy.client(fresh.pop()).get("programs"),
        "metrics": lambda: api.session.get(f"{busy.url}/metrics", timeout=60),
        **{f"admin/{page}": lambda page=page: desk.get(page) for page in PAGES},
        "change form": lambda: desk.get(f"daemon_programs/program/{id}/change/"),
    }
    for name, read in reads.items():
        if name != "first use of a token":
            assert read().status_code == 200, name  # what is loaded once is
    with writer(busy):
        for name, read in reads.items():
            assert _seconds(read) < ENOUGH, name


def test_end_that_could_not_be_recorded_yet_can_be_read(busy: Stack) -> None:
    quick = Quick(busy)
    id = quick.launch("sh -c 'sleep 1.5; exit 7'", autorestart="false")["temporary_id"]
    with writer(busy):
        time.sleep(2.5)
        assert _seconds(lambda: busy.api.get(f"quick-start/{id}/status")) < ENOUGH
        answer = busy.api.get(f"quick-start/{id}/status").json()
        assert answer["status"] == "exited"
        assert answer["last_run"]["exit_code"] == 7
    eventually(lambda: busy.api.get("quick-start").json()["count"] == 0)
    assert busy.api.get(f"quick-start/{id}/status").json()["last_run"] == answer["last_run"]


def _seconds(read: Callable[[], requests.Response]) -> float:
    began = time.monotonic()
    assert read().status_code == 200
    return time.monotonic() - began
