"""Send one request to a receiver of webhooks, at a checked address (docs/contract.md, section 5).

The host name is resolved once, every resolved address is checked, and the connection goes to one of
them, so it does not matter if the name resolves differently a moment later. Redirects are not followed
and no proxy is used.
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
_MAX_RESPONSE_BYTES = 64 * 1024
_GONE = 410
_RETRY_AFTER_CODES = (429, 503)  # those for which the Retry-After header is respected


@dataclass(frozen=True)
class Outcome:
    """The outcome of an attempt. Nothing else of the response is kept."""

    milliseconds: int
    code: int | None = None
    error: str | None = None  # None if it was delivered
    retry_after: float | None = None  # seconds that the receiver asked for

    @property
    def is_final(self) -> bool:
        """Return whether the receiver has said that it will never accept the delivery."""
        return self.code == _GONE


class Connection:
    """A connection to a receiver for one attempt.

    It is aborted after ``seconds``, or by another thread, whatever the attempt is waiting for.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_aborted = False
        self._ends_at = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self.abort)
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

    def abort(self) -> None:
        """End the attempt at once: its time is up, or the queue is being stopped."""
        with self._lock:
            self.is_aborted = True
            self._resolved.put(None)
            if self._handle:
                with suppress(OSError):  # it is not connected yet, or no longer
                    self._handle.shutdown(socket.SHUT_RDWR)

    def open(self, host: str, port: int) -> socket.socket:
        """Return a socket that is connected to one of the host's addresses, after checking all of them.

        Raise ValidationError for an address that is not allowed, and OSError if none can be reached.
        """
        addresses = self._resolve(host, port)
        for *_, address in addresses:
            check_address(ipaddress.ip_address(address[0]))
        problem: OSError = TimeoutError()
        for position, (family, kind, protocol, _, address) in enumerate(addresses):
            connection = socket.socket(family, kind, protocol)
            try:
                self._hold(connection)
                # An address that doesn't respond must leave time for the next one.
                connection.settimeout(self._left() / (len(addresses) - position))
                connection.connect(address)
                connection.settimeout(self._left())
            except OSError as refusal:
                connection.close()
                problem = refusal
            else:
                return connection
        raise problem

    def _resolve(self, host: str, port: int) -> list[Any]:
        """Resolve a host name in a thread, because the system's resolver can't be interrupted."""

        def resolve() -> None:
            try:
                self._resolved.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
            except OSError as problem:
                self._resolved.put(problem)
            except UnicodeError:  # Python can't encode it as a host name
                self._resolved.put(socket.gaierror())

        threading.Thread(target=resolve, daemon=True).start()
        answer = self._resolved.get()
        if answer is None:
            raise TimeoutError
        if isinstance(answer, OSError):
            raise answer
        return answer

    def _hold(self, connection: socket.socket) -> None:
        """Keep a duplicate of the socket for ``abort``, because TLS detaches the socket itself."""
        with self._lock:
            if self.is_aborted:
                raise TimeoutError
            self._close_handle()
            self._handle = connection.dup()

    def _close_handle(self) -> None:
        if self._handle:
            self._handle.close()
            self._handle = None

    def _left(self) -> float:
        return max(0.01, self._ends_at - time.monotonic())


def post(url: str, headers: Mapping[str, str], body: bytes, connection: Connection) -> Outcome:
    """Send a request and return its outcome; network and HTTP errors are outcomes, not exceptions."""
    started = time.monotonic()
    code: int | None = None
    retry_after: float | None = None
    error: str | None = None
    try:
        with connection:
            code, retry_after = _send(url, headers, body, connection)
            error = _error_of_code(code)
    except ValidationError as problem:
        error = problem.messages[0]
    except (OSError, HTTPException, HTTPError) as problem:
        error = _error_of_exception(problem)
    if connection.is_aborted:  # which by itself looks like a complete response, or like a network error
        code, error = None, f"No whole answer within {connection.seconds:g} seconds"
    return Outcome(round((time.monotonic() - started) * 1000), code, error, retry_after)


def _send(
    url: str, headers: Mapping[str, str], body: bytes, connection: Connection
) -> tuple[int, float | None]:
    """Send a request; return the status code, and the seconds of a Retry-After header."""
    host = host_of(url)
    parts = urlsplit(url)
    port = parts.port or _PORTS[parts.scheme]
    http = HTTPConnection(host, port, timeout=connection.seconds)
    raw = connection.open(host.strip("[]"), port)
    try:
        http.sock = _encrypted(raw, host) if parts.scheme == "https" else raw
        http.request(
            "POST",
            parse_url(url).request_uri,
            body=body,
            headers={**headers, "Host": _host_header(host, parts)},
            preload_content=False,
        )
        response = http.getresponse()
        retry_after = (
            _seconds(response.headers.get("Retry-After")) if response.status in _RETRY_AFTER_CODES else None
        )
        with suppress(OSError, HTTPException, HTTPError):  # only the status matters
            response.read(_MAX_RESPONSE_BYTES, decode_content=False)
        return response.status, retry_after
    finally:
        raw.close()
        http.close()


def _encrypted(raw: socket.socket, host: str) -> ssl.SSLSocket:
    """Start TLS; the certificate must be valid for the host name of the URL, not for the address."""
    return _tls().wrap_socket(raw, server_hostname=host.strip("[]").rstrip("."))


@functools.cache
def _tls() -> ssl.SSLContext:
    """Return a TLS context with the system's certificate authorities and those of the settings."""
    context = ssl.create_default_context()
    if settings.WEBHOOKS_CA_FILE:
        context.load_verify_locations(cafile=settings.WEBHOOKS_CA_FILE)
    return context


def _host_header(host: str, parts: SplitResult) -> str:
    is_usual = parts.port is None or parts.port == _PORTS[parts.scheme]
    return host if is_usual else f"{host}:{parts.port}"


def _error_of_code(code: int) -> str | None:
    if 200 <= code < 300:
        return None
    if 300 <= code < 400:
        return f"It answered {code}; redirects are not followed"
    return f"It answered {code}"


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds to wait by a Retry-After header, which has seconds or a date."""
    if not retry_after:
        return None
    if (seconds := to_number(retry_after, max_digits=9)) is not None:
        return float(seconds)
    try:
        moment = parsedate_to_datetime(retry_after)
        return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def _error_of_exception(problem: Exception) -> str:
    """Return what went wrong, without quoting the request or the response."""
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
