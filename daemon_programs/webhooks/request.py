"""One request to a receiver of webhooks, at an address that was checked (contract, section 5).

The name is resolved once, each of its addresses is checked, and the connection goes to one of these:
what the name says a moment later doesn't matter. There is nothing here that could follow a redirect
or ask a proxy.
"""

import functools
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, LocationValueError
from urllib3.util import parse_url

from daemon_programs.text import to_number
from daemon_programs.validators.addresses import check_address, host_of

_PORTS = {"http": 80, "https": 443}
_MOST_OF_AN_ANSWER = 64 * 1024
_GONE = 410
_SAY_WHEN = (429, 503)  # with these, Retry-After says when to come again


@dataclass(frozen=True)
class Outcome:
    """How an attempt has ended. Nothing else of the answer is kept."""

    milliseconds: int
    code: int | None = None
    error: str | None = None  # None: it was delivered
    retry_after: float | None = None  # seconds that the receiver asked for

    @property
    def is_final(self) -> bool:
        """Whether the receiver wants nothing of it, now or later."""
        return self.code == _GONE


class Line:
    """The way to a receiver, for one attempt. It can be cut from outside, whatever is being waited for."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_cut = False
        self._ends_at = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._resolved: SimpleQueue[list[Any] | OSError | None] = SimpleQueue()
        self._handle: socket.socket | None = None

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, where: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._close_handle()

    def cut(self) -> None:
        """End it at once: time is up, or the queue is being stopped."""
        with self._lock:
            self.is_cut = True
            self._resolved.put(None)
            if self._handle:
                with suppress(OSError):  # it was never connected, or is no longer
                    self._handle.shutdown(socket.SHUT_RDWR)

    def open(self, host: str, port: int) -> socket.socket:
        """A connection to one of the host's addresses, all of which are checked first."""
        addresses = self._resolve(host, port)
        for *_, address in addresses:
            check_address(ipaddress.ip_address(address[0]))
        problem: OSError = TimeoutError()
        for place, (family, kind, protocol, _, address) in enumerate(addresses):
            connection = socket.socket(family, kind, protocol)
            try:
                self._hold(connection)
                # One that doesn't answer must leave time for the next.
                connection.settimeout(self._left() / (len(addresses) - place))
                connection.connect(address)
                connection.settimeout(self._left())
            except OSError as refusal:
                connection.close()
                problem = refusal
            else:
                return connection
        raise problem

    def _resolve(self, host: str, port: int) -> list[Any]:
        """Ask the system's resolver, which can't be interrupted, in a thread that can be left alone."""

        def ask() -> None:
            try:
                self._resolved.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except OSError as problem:
                self._resolved.put(problem)
            except UnicodeError:  # no name at all, so to Python
                self._resolved.put(socket.gaierror())

        threading.Thread(target=ask, daemon=True).start()
        answer = self._resolved.get()
        if answer is None:
            raise TimeoutError
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _hold(self, connection: socket.socket) -> None:
        """Keep a handle to cut it by: one of our own, since TLS takes the socket's own away."""
        with self._lock:
            if self.is_cut:
                raise TimeoutError
            self._close_handle()
            self._handle = connection.dup()

    def _close_handle(self) -> None:
        if self._handle:
            self._handle.close()
            self._handle = None

    def _left(self) -> float:
        return max(0.01, self._ends_at - time.monotonic())


def post(url: str, headers: Mapping[str, str], body: bytes, line: Line) -> Outcome:
    """Send it, and tell how that went: whatever goes wrong out there is an outcome, not an exception."""
    began = time.monotonic()
    code: int | None = None
    retry_after: float | None = None
    error: str | None = None
    try:
        with line:
            code, retry_after = _send(url, headers, body, line)
            error = _judge(code)
    except ValidationError as problem:
        error = problem.messages[0]
    except (OSError, HTTPException, HTTPError) as problem:
        error = _sentence_of(problem)
    if line.is_cut:  # what is cut looks like an answer that ends, or like a broken connection
        code, error = None, f"No whole answer within {line.seconds:g} seconds"
    return Outcome(round((time.monotonic() - began) * 1000), code, error, retry_after)


def _send(url: str, headers: Mapping[str, str], body: bytes, line: Line) -> tuple[int, float | None]:
    host = host_of(url)
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    connection = HTTPConnection(host, port, timeout=line.seconds)
    raw = line.open(host.strip("[]"), port)
    try:
        connection.sock = _encrypted(raw, host) if parts.scheme == "https" else raw
        connection.request(
            "POST",
            parse_url(url).request_uri,
            body=body,
            headers={**headers, "Host": _host_header(host, parts)},
            preload_content=False,
        )
        answer = connection.getresponse()
        retry_after = _seconds(answer.headers.get("Retry-After")) if answer.status in _SAY_WHEN else None
        with suppress(OSError, HTTPException, HTTPError):  # the status has said all that matters
            answer.read(_MOST_OF_AN_ANSWER, decode_content=False)
        return answer.status, retry_after
    finally:
        raw.close()
        connection.close()


def _encrypted(raw: socket.socket, host: str) -> ssl.SSLSocket:
    """TLS with whoever the URL names: the certificate must be for the name, not for the address."""
    return _tls().wrap_socket(raw, server_hostname=host.strip("[]").rstrip("."))


@functools.cache
def _tls() -> ssl.SSLContext:
    """The system's certificate authorities, and those that the settings add."""
    context = ssl.create_default_context()
    if settings.WEBHOOKS_CA_FILE:
        context.load_verify_locations(cafile=settings.WEBHOOKS_CA_FILE)
    return context


def _host_header(host: str, parts: SplitResult) -> str:
    is_usual = parts.port is None or parts.port == _PORTS[parts.scheme]
    return host if is_usual else f"{host}:{parts.port}"


def _judge(code: int) -> str | None:
    if 200 <= code < 300:
        return None
    if 300 <= code < 400:
        return f"It answered {code}; redirects are not followed"
    return f"It answered {code}"


def _seconds(retry_after: str | None) -> float | None:
    """What a Retry-After asks for: seconds, or a date."""
    if not retry_after:
        return None
    if (seconds := to_number(retry_after, most_digits=9)) is not None:
        return float(seconds)
    try:
        moment = parsedate_to_datetime(retry_after)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def _sentence_of(problem: Exception) -> str:
    """What went wrong, without anything that was sent or answered."""
    if isinstance(problem, socket.gaierror):
        return "Its name can't be resolved"
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"Its certificate can't be trusted: {problem.verify_message}"
    if isinstance(problem, ssl.SSLError):
        return f"TLS failed: {problem.reason or 'the connection broke off'}"
    if isinstance(problem, TimeoutError):
        return "It can't be reached in time"
    if isinstance(problem, OSError) and problem.strerror:
        return f"The connection failed: {problem.strerror}"
    if isinstance(problem, LocationValueError):
        return "Its URL can't be used"
    return "What it answered is no whole HTTP answer"
