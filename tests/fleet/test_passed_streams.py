"""Streams of hosts through a hub: written by the pump as they come, as slowly as their clients read."""

import socket
import ssl
import time
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from daemon_programs.streams.watcher import Watcher
from fleet.passing import stream as passed
from fleet.passing.chunks import Chunks
from fleet.passing.stream import HostStream
from fleet.passing.upstream import Call, open_stream
from tests.fleet.scripted_hosts import Script, ScriptedHost, answer
from tests.stack import eventually

EVENTS = {"Content_Type": "text/event-stream"}


def begins(*parts: bytes, **headers: str) -> Script:
    """Begin an answer without a length, and send parts of it apart from each other."""
    head = answer(b"", **EVENTS, **headers)

    def step(line: socket.socket) -> None:
        sent: list[bytes] = []
        head(SimpleNamespace(sendall=sent.append))  # type: ignore[arg-type]
        line.sendall(sent[0].replace(b"Content-Length: 0\r\n", b""))
        for part in parts:
            line.sendall(part)
            time.sleep(0.02)

    return step


def opened(host: ScriptedHost, ca: str = "") -> HostStream:
    own = {"name": "web-1", "url": host.url, "ca": ca, "has_tls": host.url.startswith("https")}
    row: Any = SimpleNamespace(**own, pk=1, sealed_token="")
    return HostStream(
        row, open_stream(row, Call("GET", "/api/v1/daemon/events/stream", "", {"On-Behalf-Of": "alice"}))
    )


def pulled(source: HostStream, number: int) -> list[bytes]:
    """Pull until so many parts have come, or the end (then the last is empty)."""
    parts: list[bytes] = []

    def one() -> bool:
        part = source.pull()
        if part is None:
            parts.append(b"")
        elif part:
            parts.append(part)
        return part is None or len(parts) == number

    eventually(one)
    return parts


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("is_secure", [False, True])
def test_events_are_given_as_a_whole_however_they_arrive(is_chunked: bool, is_secure: bool) -> None:
    context, ca = None, ""
    if is_secure:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        ca = authority.cert_pem.bytes().decode()
    parts = [b"retry: 2", b"000\n\nid: 1\nda", b"ta: {}\n", b"\n: keep-alive\n\nid: 2\ndata: x\n\nid: 3"]
    script = begins(*parts)
    if is_chunked:
        sizes = [b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts]
        whole = b"".join(sizes) + b"0\r\n\r\n"
        script = begins(whole[:3], whole[3:30], whole[30:31], whole[31:], Transfer_Encoding="chunked")
    with ScriptedHost(script, context=context) as host, closing(opened(host, ca)) as source:
        text = b"".join(pulled(source, 9 if is_chunked else 2))
        assert text == b"".join(parts)[: -len(b"id: 3")]
        if not is_chunked:
            assert source.pull() == b""  # nothing new yet


def test_a_host_that_falls_silent_or_sends_no_events_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedHost(begins(b"half")) as host, closing(opened(host)) as source:
        assert source.pull() == b""
        monkeypatch.setattr(passed, "_SILENCE_SECONDS", 0.0)
        time.sleep(0.05)
        assert pulled(source, 1) == [b""]
    monkeypatch.setattr(passed, "_MOST_OF_AN_EVENT", 10)
    with ScriptedHost(begins(b"x" * 100)) as host, closing(opened(host)) as source:
        assert pulled(source, 1) == [b""]
    with (
        ScriptedHost(begins(b"no size\r\n", Transfer_Encoding="chunked")) as host,
        closing(opened(host)) as source,
    ):
        assert pulled(source, 1) == [b""]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_chunks_are_joined_wherever_they_are_cut(size: int) -> None:
    body = b"5\r\nhello\r\n1;name=value\r\n \r\nA\r\nworld\r\n\r\n\n\r\n0\r\nTrailer: x\r\n\r\n"
    chunks = Chunks()
    joined = b"".join(chunks.joined(body[at : at + size]) for at in range(0, len(body), size))
    assert (joined, chunks.is_over) == (b"hello world\r\n\r\n\n", True)


@pytest.mark.parametrize("body", [b"x\r\n", b"-1\r\n", b"1" * 2000])
def test_what_is_no_chunk_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        Chunks().joined(body)


def test_a_watcher_tells_once_what_has_arrived_on_a_socket() -> None:
    told: list[int] = []
    near, far = socket.socketpair()
    with closing(Watcher()) as watcher, near, far:
        watcher.watch_socket(near.fileno(), lambda: told.append(1))
        watcher.dispatch()
        assert told == []
        far.send(b"x")
        for _ in range(3):
            watcher.dispatch()
        assert told == [1]
        far.close()
        watcher.dispatch()
        assert told == [1, 1]
        watcher.forget_socket(near.fileno())
        watcher.forget_socket(near.fileno())
