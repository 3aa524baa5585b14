"""All streams: they use no threads, block no other client, and end when they should."""

import contextlib
import errno
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psutil
import pytest

from daemon_programs.exceptions import StreamsUnavailable
from daemon_programs.streams import pump
from tests.admin_client import PASSWORD
from tests.processes import python, shell
from tests.stack import Api, Stack, eventually, temporary_stack
from tests.stream_client import StreamClient, api_pid, follow

FLOOD = "import sys\nline = b'x' * 60 + b'\\n'\nwhile True: sys.stdout.buffer.write(line * 1000)"


@pytest.fixture(scope="module")
def busy() -> Iterator[Stack]:
    """A stack for what would disturb others."""
    with temporary_stack() as stack:
        yield stack.start()


@pytest.fixture
def listeners() -> Iterator[contextlib.ExitStack]:
    """What is entered here is closed after the test."""
    with contextlib.ExitStack() as opened:
        yield opened


def held(stack: Stack) -> tuple[int, int, int]:
    """What the API holds for streams: connections, open logs, watches of the kernel."""
    process = psutil.Process(api_pid(stack.api))
    established = [each for each in process.net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
    logs = [file for file in process.open_files() if file.path.startswith(str(stack.folder / "logs"))]
    watches = 0
    for file in Path(f"/proc/{process.pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            watches += file.read_text().count("inotify wd:")
    return len(established), len(logs), watches


def threads(stack: Stack) -> int:
    return psutil.Process(api_pid(stack.api)).num_threads()


def milliseconds(api: Api, id: int) -> float:
    """How long a simple answer takes, the median of many."""
    durations = []
    for _ in range(60):
        started_at = time.perf_counter()
        assert api.get(f"programs/{id}").status_code == 200
        durations.append(time.perf_counter() - started_at)
    return 1000 * statistics.median(durations)


def test_200_streams_leave_the_api_as_quick_as_before(busy: Stack, listeners: contextlib.ExitStack) -> None:
    stack = busy
    api = stack.api
    id = api.add(shell("while :; do date; sleep 0.2; done"), boot=True)
    milliseconds(api, id)
    before = milliseconds(api, id)
    with follow(stack, id):
        one = threads(stack)
        for number in range(199):
            route = f"programs/{id}/logs/stream" if number % 2 else "events/stream"
            assert listeners.enter_context(StreamClient(stack, route)).status == 200
        during = milliseconds(api, id)
        more = threads(stack) - one
    after = milliseconds(api, id)
    api.ok(f"programs/remove/{id}")
    print(f"before {before:.2f} ms, with 200 streams {during:.2f} ms, after {after:.2f} ms")
    assert more <= 8, "streams have threads"  # some workers that were not needed before
    assert during < 3 * max(before, after) + 5


def test_flood_of_lines_holds_up_neither_requests_nor_other_streams(
    busy: Stack, listeners: contextlib.ExitStack
) -> None:
    stack = busy
    api = stack.api
    flood = api.add(python(FLOOD), log_max_bytes=1_000_000)
    quiet = api.add(shell("while :; do date +%s.%N; sleep 0.1; done"), boot=True)
    drain = listeners.enter_context(follow(stack, flood))
    beside = listeners.enter_context(follow(stack, quiet, lines=0))
    beside.line()
    api.ok(f"programs/{flood}/start")
    drain.line()
    drain.socket.settimeout(None)
    taken = subprocess.Popen(["cat"], stdin=drain.socket, stdout=subprocess.DEVNULL)
    lags = []
    for _ in range(20):
        written = float(beside.line())
        lags.append(1000 * (time.time() - written))
    during = milliseconds(api, quiet)
    taken.kill()
    taken.wait()
    print(f"with a flood: lag of a line {statistics.median(lags):.1f} ms, answer {during:.1f} ms")
    assert statistics.median(lags) < 1000
    assert during < 500
    for id in (flood, quiet):
        api.ok(f"programs/remove/{id}")


def test_client_that_reads_nothing_costs_no_memory(busy: Stack, listeners: contextlib.ExitStack) -> None:
    stack = busy
    api = stack.api
    id = api.add(python(FLOOD), log_max_bytes=1_000_000)
    process = psutil.Process(api_pid(api))
    for _ in range(20):
        listeners.enter_context(follow(stack, id))
    api.ok(f"programs/{id}/start")
    log = Path(api.get(f"programs/{id}").json()["program"]["stdout_logfile"])
    with follow(stack, id) as reader:  # whose lines make sure that there was much to read
        reader.lines(1000)
        before = process.memory_info().rss
        reader.lines(50_000, 60)
    grown = process.memory_info().rss - before
    api.ok(f"programs/remove/{id}")
    assert grown < 20 * 1024 * 1024
    # Nor can they keep the log from being rotated for ever.
    assert log.stat().st_size < 12 * 1024 * 1024


def test_clients_that_have_gone_leave_nothing_open(stack: Stack, api: Api) -> None:
    id = api.add(shell("while :; do date; sleep 0.05; done"), boot=True)
    before = held(stack)
    opened = [follow(stack, id) for _ in range(20)] + [
        StreamClient(stack, "events/stream") for _ in range(20)
    ]
    for listener in opened[:20]:
        listener.line()
    during = held(stack)
    assert (during[0] - before[0], during[1], during[2]) == (40, 20, 2)  # the log and its folder
    for listener in opened:
        listener.close()
    eventually(lambda: held(stack) == before, what="all is free again")


def test_silent_stream_is_kept_alive(stack: Stack, api: Api) -> None:
    with follow(stack, api.add()) as listener:
        listener.event()
        with pytest.raises(TimeoutError):
            listener.event(17)
        assert listener.comments == 1


def test_browser_gets_a_retry_delay(stack: Stack, api: Api) -> None:
    with follow(stack, api.add()) as listener:
        eventually(lambda: listener._received or listener._receive(time.monotonic() + 10) or True)
        assert listener._received.startswith(b"retry: 2000\n\n")


def test_so_many_streams_may_be_open_and_no_more() -> None:
    with temporary_stack(DAEMON_STREAMS="3") as stack:
        stack.start()
        id = stack.api.add()
        opened = [follow(stack, id), StreamClient(stack, "events/stream"), follow(stack, id)]
        refused = follow(stack, id)
        assert refused.status == 429
        answer = refused.body()
        assert answer == {
            "success": False,
            "error": "3 streams are open already; try again later",
            "code": "too_many_streams",
        }
        opened[0].close()
        eventually(lambda: (again := follow(stack, id)).status == 200 or again.close())
        for listener in opened:
            listener.close()


def test_stream_ends_when_its_token_is_revoked(busy: Stack) -> None:
    stack = busy
    id = stack.api.add()
    created = stack.manage("shell", "-c", _ISSUE)
    token = created.stdout.strip().splitlines()[-1]
    kept = follow(stack, id)
    revoked = follow(stack, id, token=token)
    weakened = StreamClient(
        stack, "events/stream", token=stack.manage("shell", "-c", _ISSUE).stdout.split()[-1]
    )
    assert (revoked.event().name, kept.event().name, weakened.status) == ("open", "open", 200)
    stack.manage("shell", "-c", _REVOKE)
    assert revoked.is_ended(20)
    assert weakened.is_ended(20)
    with pytest.raises(TimeoutError):
        kept.event(0.1)
    kept.close()


_ISSUE = """
from django.contrib.auth.models import Permission, User
from hoody_site.access.models import ApiToken
number = User.objects.count()
user = User.objects.create(username=f"listener {number}")
user.user_permissions.add(*Permission.objects.filter(codename__in=["view_program", "view_event"]))
print(ApiToken.issue(user, "a token"))
"""
_REVOKE = """
from django.contrib.auth.models import User
from hoody_site.access.models import ApiToken
users = User.objects.filter(username__startswith="listener").order_by("id")
ApiToken.objects.filter(user=users[0]).delete()
users[1].user_permissions.clear()
"""


def test_login_to_the_admin_opens_streams_until_it_is_ended(busy: Stack) -> None:
    stack = busy
    stack.manage("shell", "-c", _STAFF)
    browser = stack.browser()
    page = f"{stack.url}/admin/login/"
    token = browser.get(page, timeout=30).cookies[f"hoody_csrf_{stack.port}"]
    form = {"username": "watcher", "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/"}
    assert browser.post(page, data=form, headers={"Referer": page}, timeout=30).ok
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
    headers = {"Authorization": "", "Cookie": cookies, "Host": stack.admin_host}
    with StreamClient(stack, "events/stream", headers=headers) as listener:
        assert listener.status == 200
        form = {"csrfmiddlewaretoken": browser.cookies[f"hoody_csrf_{stack.port}"]}
        assert browser.post(f"{stack.url}/admin/logout/", data=form, timeout=30).ok
        assert listener.is_ended(20)


_STAFF = f"""
from django.contrib.auth.models import User
User.objects.create_superuser("watcher", password={PASSWORD!r})
"""


def test_stop_of_the_stack_ends_streams_at_once(own_stack: Stack) -> None:
    stack = own_stack.start()
    id = stack.api.add()
    opened = [follow(stack, id), StreamClient(stack, "events/stream")]
    os.kill(api_pid(stack.api), signal.SIGTERM)
    started_at = time.monotonic()
    for listener in opened:
        assert listener.is_ended(10)
    assert time.monotonic() - started_at < 3


def test_streams_are_refused_while_the_system_has_no_more_inotify(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(pump, "Watcher", none_left)
        streams, source = pump.Pump(1), cast("pump.Source", _Source())
        with pytest.raises(StreamsUnavailable, match=r"^Files can't be followed .*: Too many open files$"):
            streams.admit(source)
        assert streams.count == 0
    monkeypatch.setattr(pump.changes, "listen", lambda listener: None)
    streams.admit(source)
    assert streams.count == 1
    streams.close()


class _Source:
    """A source without events."""

    files = 0


def test_other_servers_say_that_they_can_not_stream(db: None) -> None:
    from django.contrib.auth.models import User
    from rest_framework.test import APIClient

    client = APIClient()
    client.force_authenticate(User.objects.create_superuser("boss"))
    answer = client.get("/api/v1/daemon/events/stream")
    assert answer.status_code == 503
    assert answer.json() == {
        "success": False,
        "error": "Streams are served by the stack's own server only, which `make run` starts",
        "code": "streams_unavailable",
    }
