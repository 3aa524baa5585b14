"""Connections of strangers: silent ones, half a request, and requests that the server itself refuses."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.stack import Stack, eventually, temporary_stack

HEALTH = b"GET /api/v1/daemon/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ADD = b"POST /api/v1/daemon/programs/add HTTP/1.1\r\nHost: localhost\r\n"
THREADS = 8


@pytest.fixture(scope="module")
def small() -> Iterator[Stack]:
    """A stack with few threads, that strangers try to block."""
    with temporary_stack(DAEMON_THREADS=str(THREADS)) as stack:
        yield stack.start()


@contextlib.contextmanager
def connections(stack: Stack, number: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Many connections on which the same was sent."""
    with contextlib.ExitStack() as held:
        lines = []
        for _ in range(number):
            line = held.enter_context(socket.create_connection(("127.0.0.1", stack.port), 40))
            line.sendall(sent)
            lines.append(line)
        yield lines


def ask(stack: Stack, *parts: bytes, pause: float = 0.0) -> tuple[int, bytes]:
    """Send a request in parts: the status and the body of the answer, once the server has closed."""
    with socket.create_connection(("127.0.0.1", stack.port), 60) as line:
        for part in parts:
            line.sendall(part)
            time.sleep(pause)
        return rest(line)


def rest(line: socket.socket) -> tuple[int, bytes]:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := line.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


def seconds_of_health(stack: Stack) -> float:
    began = time.monotonic()
    assert ask(stack, HEALTH)[0] == 200
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("sent", "number"),
    [
        (b"", 2300),
        (b"GET /", 300),
        (ADD + b"Content-Length: 5\r\n\r\nab", 300),
        (ADD + b"Transfer-Encoding: chunked\r\n\r\n", 50),
        (ADD + b"Content-Length: 900000\r\n\r\n" + b"x" * 100_000, 50),
    ],
    ids=["silent", "half a head", "half a body", "chunks to come", "half a long body"],
)
def test_connections_that_wait_for_their_client_hold_up_no_other(
    small: Stack, sent: bytes, number: int
) -> None:
    with connections(small, number, sent):
        for _ in range(5):
            assert seconds_of_health(small) < 2


def test_client_that_does_not_close_holds_up_no_other(small: Stack) -> None:
    """The server waits for clients to read its answer before it closes, but not in its only loop."""
    with connections(small, 30, HEALTH) as lines:
        assert seconds_of_health(small) < 1
        assert all(rest(line)[0] == 200 for line in lines)


def test_client_that_does_not_read_holds_up_no_other(small: Stack) -> None:
    schema = HEALTH.replace(b"/v1/daemon/health", b"/schema/")
    with connections(small, THREADS - 1, schema):
        assert seconds_of_health(small) < 2


def test_idle_connection_ends_after_ten_seconds(small: Stack) -> None:
    kept = HEALTH.replace(b"Connection: close\r\n", b"")
    with connections(small, 1, b"") as [silent], connections(small, 1, kept) as [idle]:
        began = time.monotonic()
        assert silent.recv(1) == b""
        assert 9 < time.monotonic() - began < 20
        assert rest(idle)[0] == 200
        assert time.monotonic() - began < 20


def test_half_a_request_ends_after_thirty_seconds(small: Stack) -> None:
    halves = [
        HEALTH[:20],
        ADD + b"Content-Length: 5\r\n\r\nab",
        ADD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n",
    ]
    with contextlib.ExitStack() as held:
        lines = [held.enter_context(connections(small, 1, half))[0] for half in halves]
        began = time.monotonic()
        for line in lines:
            status, body = rest(line)
            assert status == 408
            assert json.loads(body)["code"] == "request_timeout"
        assert 28 < time.monotonic() - began < 45


def test_requests_may_arrive_in_pieces_and_together(small: Stack) -> None:
    assert ask(small, *(bytes([byte]) for byte in HEALTH))[0] == 200
    status, _ = ask(small, ADD + b"Connection: close\r\nContent-Length: 2\r\n\r\n", b"{", b"}", pause=0.2)
    assert status == 401
    both = HEALTH.replace(b"Connection: close\r\n", b"") + HEALTH
    _, bodies = ask(small, both)
    assert bodies.count(b'"service":"hoody-daemon"') == 2


def test_client_that_expects_a_100_gets_it(small: Stack) -> None:
    with connections(small, 1, ADD + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n") as [line]:
        assert line.recv(64).startswith(b"HTTP/1.1 100 Continue")
        line.sendall(b"{}")
        assert line.recv(64).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, "address_too_long"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"a" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431, "headers_too_large"),
        (ADD + b"Transfer-Encoding: xchunked\r\n\r\n", 501, "not_implemented"),
        (ADD + b"Expect: x\r\n\r\n", 417, "expectation_failed"),
        (b"GARBAGE\r\n\r\n", 400, "malformed"),
        (b"\x16\x03\x01\r\n\r\n", 400, "malformed"),
        (HEALTH.replace(b"localhost", b"evil.example"), 400, "host_not_allowed"),
        (HEALTH.replace(b"health", b"nothing"), 404, "not_found"),
        (HEALTH.replace(b"GET", b"PUT"), 405, "method_not_allowed"),
    ],
)
def test_every_refusal_has_a_sentence_and_a_code(small: Stack, sent: bytes, status: int, code: str) -> None:
    answered, body = ask(small, sent)
    assert answered == status
    refusal = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])
    assert refusal["success"] is False
    assert refusal["error"]
    assert refusal["code"] == code


def test_requests_of_strangers_write_no_line_into_a_log(small: Stack) -> None:
    logs = list((small.folder / "stack-logs").glob("*.log"))
    eventually(lambda: ask(small, HEALTH)[0] == 200)
    before = {log: log.read_text() for log in logs}
    form = (
        b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b"
    )
    programs = HEALTH.replace(b"health", b"programs")
    for sent in (
        programs.replace(b"GET", b"HEAD"), HEALTH.replace(b"GET", b"HEAD"), programs, b"GARBAGE\r\n\r\n",
        HEALTH.replace(b"GET", b"TRACE"), HEALTH.replace(b"localhost", b"evil.example"), form,
        form.replace(b"Host: localhost", b"Host: localhost\r\nCookie: csrftoken=x; hoody_session=%ff"),
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", ADD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEALTH.replace(b"/api", b"/%ff%00"), HEALTH.replace(b"health", b"ready?x=1"),
    ):  # fmt: skip
        assert ask(small, sent)[0] in (200, 400, 401, 403, 404, 405, 414)
    with connections(small, 3, ADD + b"Content-Length: 5\r\n\r\n"):
        pass
    assert {log: log.read_text() for log in logs} == before
