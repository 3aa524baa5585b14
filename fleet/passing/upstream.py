"""Send requests to hosts, and look at the heads of their answers."""

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import socket
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import MaxRetryError, ProtocolError

from fleet.client import pool_of, reaching
from fleet.exceptions import NotADaemon, TokenRefused
from fleet.models import Host

JSON = "application/json"
EVENTS = "text/event-stream"
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
# A call may wait 300 seconds for a start, or as long as a grace period for a stop.
_CHANGE_SECONDS = 330.0


class Answer(Protocol):
    """What the answers of both libraries have in common."""

    status: int
    headers: Any

    def read(self, amount: int) -> bytes:
        """Return so many bytes of the body, fewer at its end."""

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""


class Call(NamedTuple):
    """A request to a host."""

    method: str
    path: str
    query: str  # as it is in a URL
    headers: Mapping[str, str]
    body: bytes | None = None

    @property
    def address(self) -> str:
        """Return the path with the query."""
        return f"{self.path}?{self.query}" if self.query else self.path


def send(host: Host, call: Call) -> Answer:
    """Send a request and return its answer, whose body is not read yet; raise HostUnreachable.

    What changes nothing is sent again if a connection that was kept had been closed meanwhile. Anything else
    is sent once.
    """
    with reaching(host):
        try:
            answer = _send(host, call)
        except MaxRetryError as problem:
            if call.method == "POST" or not isinstance(problem.reason, ProtocolError):
                raise
            answer = _send(host, call)
    return _checked(host, call, answer)


def _send(host: Host, call: Call) -> Answer:
    seconds = _CHANGE_SECONDS if call.method == "POST" else _READ_SECONDS
    answer: Any = pool_of(host).request(
        call.method,
        host.url.rstrip("/") + call.address,
        body=call.body,
        headers=dict(call.headers),
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
        redirect=False,
        preload_content=False,
        decode_content=False,
    )
    return answer


class OpenStream(NamedTuple):
    """A connection of its own, on which a host has begun to answer."""

    connection: socket
    answer: HTTPResponse


def open_stream(host: Host, call: Call) -> OpenStream:
    """Ask a host for a stream, and return the connection with the head of the answer."""
    parts = urlsplit(host.url)
    with reaching(host):
        connection: HTTPConnection
        if parts.scheme == "https":
            trusted = pool_of(host).connection_pool_kw["ssl_context"]
            connection = HTTPSConnection(
                parts.hostname or "", parts.port, timeout=_CONNECT_SECONDS, context=trusted
            )
        else:
            connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_CONNECT_SECONDS)
        try:
            connection.request(call.method, call.address, headers=dict(call.headers))
            line: socket = connection.sock
            line.settimeout(_READ_SECONDS)
            answer = HTTPResponse(line, method=call.method)
            answer.begin()
            _checked(host, call, answer)
        except HTTPException as problem:
            connection.close()
            raise NotADaemon(f"Host '{host.name}' has not answered with HTTP") from problem
        except BaseException:
            connection.close()
            raise
    return OpenStream(line, answer)


def _checked(host: Host, call: Call, answer: Answer) -> Answer:
    """Return the answer of a daemon. What else answers, such as a proxy with pages, is not passed on."""
    kinds = (JSON, EVENTS) if call.path.endswith("/stream") else (JSON,)
    kind = kind_of(answer)
    if answer.status == 401:
        answer.close()
        raise TokenRefused(f"Host '{host.name}' does not accept the hub's token")
    is_final = 200 <= answer.status < 300 or 400 <= answer.status < 600
    if kind not in kinds or not is_final or answer.headers.get("Content-Encoding"):
        answer.close()
        raise NotADaemon(
            f"What answers at the URL of host '{host.name}' is not the API of a daemon (HTTP {answer.status})"
        )
    return answer


def kind_of(answer: Answer) -> str:
    """Return the media type of an answer."""
    return str(answer.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
