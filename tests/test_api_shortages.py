"""The API when the system has no room for another thread or file."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests
from django.contrib.auth.models import User

from daemon_programs.maintenance.mirror import Mirror
from daemon_programs.streams.pump import Pump
from daemon_programs.supervisor.changes import Changes
from hoody_site.access.failures import FailureLog
from hoody_site.access.models import ApiToken
from hoody_site.access.uses import Uses
from hoody_site.api import errors
from hoody_site.server.gunicorn_worker import PatientPool
from tests.stack import Stack, eventually, temporary_stack

THREADS = 8
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def small() -> Iterator[Stack]:
    with temporary_stack(DAEMON_THREADS=str(THREADS)) as stack:
        yield stack.start()


@contextlib.contextmanager
def no_threads() -> Iterator[None]:
    """Have the system refuse threads: none has room for such a stack."""
    before = threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(before)


@contextlib.contextmanager
def limited(process: psutil.Process, resource: int, most: int) -> Iterator[None]:
    before = process.rlimit(resource)
    process.rlimit(resource, (most, before[1]))
    try:
        yield
    finally:
        process.rlimit(resource, before)


def worker(stack: Stack) -> psutil.Process:
    return psutil.Process(int(stack.client(None).get("health").json()["pid"]))


def descriptors() -> int:
    return psutil.Process().num_fds()


class Nothing:
    """A source of a stream that is never read."""

    group = "program-1"
    files = 1


def test_thread_that_can_not_be_started_is_a_503() -> None:
    with no_threads(), pytest.raises(RuntimeError) as caught:
        threading.Thread(target=int).start()
    answer = errors.handle(caught.value, {})
    assert answer.status_code == 503
    assert answer.data["code"] == "state_unavailable"
    assert errors.handle(RuntimeError("a bug"), {}).status_code == 500


def test_pump_that_could_not_start_starts_later(tmp_path: Path) -> None:
    pump, source = Pump(5), Nothing()
    before = descriptors()
    with no_threads():
        for _ in range(3):
            with pytest.raises(RuntimeError):
                pump.admit(source)  # type: ignore[arg-type]
    assert descriptors() == before
    assert pump.count == 0
    pump.admit(source)  # type: ignore[arg-type]
    assert pump.count == 1
    pump.close()


def test_wait_that_could_not_start_is_not_counted(tmp_path: Path) -> None:
    changes = Changes(tmp_path / "none.sock", 1)
    with no_threads():
        for _ in range(3):
            with pytest.raises(RuntimeError), changes.watch("program-1"):
                pytest.fail("it waits")
    with changes.watch("program-1"):
        pass
    changes.close()


def test_wait_for_a_stop_goes_on_without_its_thread(tmp_path: Path) -> None:
    """The stop was requested before: to fail then would tell that nothing was done."""
    changes = Changes(tmp_path / "none.sock", 1)
    with no_threads(), changes.watch("program-1", brief=True) as watch:
        watch.wait(0.01)
    changes.close()


def test_mirror_is_written_at_once_without_its_thread(tmp_path: Path) -> None:
    database = ["first"]
    file = tmp_path / "mirror.json"
    mirror = Mirror(file, lambda: database[0])
    with no_threads():
        for text in ("first", "second"):
            database[0] = text
            mirror.touch()
            assert file.read_text() == text
    database[0] = "third"
    mirror.touch()
    eventually(lambda: file.read_text() == "third")


def test_mirror_that_could_be_neither_written_nor_left_to_a_thread_is_so_later(tmp_path: Path) -> None:
    file = tmp_path / "mirror.json"
    file.mkdir()
    mirror = Mirror(file, lambda: "text")
    with no_threads():
        mirror.touch()
    file.rmdir()
    mirror.touch()
    eventually(file.is_file)


def test_failures_are_logged_without_a_thread(caplog: pytest.LogCaptureFixture) -> None:
    """Each has a line of its own then; they are gathered again once there is a thread."""
    log = FailureLog(interval=60)
    with no_threads():
        for _ in range(2):
            log.add("tokens", "127.0.0.1")
    for _ in range(3):
        log.add("tokens", "127.0.0.1")
    assert [record.args[0] for record in caplog.records if record.args] == ["1 tokens"] * 3  # type: ignore[index]


@pytest.mark.django_db
def test_use_of_a_token_is_recorded_later_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Uses, "_run", lambda self: None)
    uses = Uses()
    ApiToken.issue(User.objects.create_user("clerk"), "used")
    token = ApiToken.objects.get()
    with no_threads():
        uses.remember(token.digest)
    uses.remember(token.digest)
    uses.flush()
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_pool_goes_on_with_the_threads_it_has() -> None:
    with PatientPool(4) as pool:
        with no_threads(), pytest.raises(RuntimeError):
            pool.submit(int)
        pool.submit(int).result(10)
        with no_threads():
            begun = [pool.submit(int) for _ in range(20)]
            assert [each.result(10) for each in begun] == [0] * 20


def test_request_that_needs_a_thread_is_a_503_and_others_are_served(small: Stack) -> None:
    """The first stream starts the thread of all streams."""
    process = worker(small)
    room = process.memory_info().vms + 5 * MEBIBYTE  # less than the stack of a thread
    with limited(process, psutil.RLIMIT_AS, room):
        answer = small.api.get("events/stream")
        assert answer.status_code == 503
        assert answer.json()["code"] == "state_unavailable"
        with ThreadPoolExecutor(THREADS * 2) as clients:
            answers = list(clients.map(lambda _: small.api.get("programs").status_code, range(40)))
        assert answers == [200] * 40
    with requests.get(
        f"{small.url}/api/v1/daemon/events/stream", headers=small.api.session.headers, stream=True, timeout=10
    ) as stream:
        assert stream.status_code == 200
    assert worker(small).pid == process.pid


def test_streams_leave_descriptors_to_requests(small: Stack) -> None:
    process = worker(small)
    headers = dict(small.api.session.headers)
    ids = [small.api.add(name=f"followed {number}") for number in range(3)]
    for id in ids:
        small.api.ok(f"programs/{id}/start", {"wait": True})
    with limited(process, psutil.RLIMIT_NOFILE, 200), contextlib.ExitStack() as held:
        codes = []
        for number in range(200):
            url = f"{small.url}/api/v1/daemon/programs/{ids[number % 3]}/logs/stream"
            answer = held.enter_context(requests.get(url, headers=headers, stream=True, timeout=20))
            codes.append(answer.status_code)
            if answer.status_code != 200:
                break
        assert codes.count(200) > 10
        assert answer.status_code == 429
        assert answer.json() == {
            "success": False,
            "error": "The limit of open files leaves no room for a stream; try again later",
            "code": "too_many_streams",
        }
        with ThreadPoolExecutor(THREADS * 2) as clients:
            routes = ["programs", "status", "health", "ready"] * 20
            assert {answer.status_code for answer in clients.map(small.api.get, routes)} == {200}
        id = small.api.add()
        small.api.ok(f"programs/{id}/start", {"wait": True})
    assert worker(small).pid == process.pid
    eventually(
        lambda: "daemon_streams_open 0.0" in small.api.session.get(f"{small.url}/metrics", timeout=20).text,
        30,
    )


def test_connections_without_descriptors_make_room(small: Stack) -> None:
    """accept() fails then, which must not end the API."""
    process = worker(small)
    with limited(process, psutil.RLIMIT_NOFILE, process.num_fds() * 2), contextlib.ExitStack() as held:
        for _ in range(300):
            held.enter_context(socket.create_connection(("127.0.0.1", small.port), 20))
        for _ in range(5):
            assert small.client(None).get("health").status_code == 200
    assert worker(small).pid == process.pid
