"""Requests to the API of a host, with its token, over connections that are kept open."""

import contextlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from daemon_programs.actors import BEHALF_HEADER
from fleet.exceptions import HostUnreachable, NoConnection, NotADaemon
from fleet.models import Host

PATH = "/api/v1/daemon/"
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 60.0
_PIECE_BYTES = 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024  # of an answer: one host shall not fill the memory of the hub
_KEPT_CONNECTIONS = 8
_MAX_HOSTS = 1000

_pools: dict[tuple[str, str], urllib3.PoolManager] = {}
_lock = threading.Lock()


class Answer(NamedTuple):
    """The answer of a host."""

    code: int
    document: Any  # parsed JSON; None if it isn't any

    @property
    def is_ok(self) -> bool:
        """Return whether the host did what it was asked for."""
        return 200 <= self.code < 300

    @property
    def error(self) -> str:
        """Return the host's sentence about what went wrong."""
        if isinstance(self.document, dict) and isinstance(self.document.get("error"), str):
            return str(self.document["error"])
        return f"The host has answered with the status {self.code}"


def headers_for(host: Host, user: str = "") -> dict[str, str]:
    """Return the headers of a request to a host; ``user`` is the person that it is made for."""
    headers = {"Authorization": f"Bearer {host.token}", "User-Agent": "hoody-daemon hub"}
    if user:
        headers[BEHALF_HEADER] = quote(user, safe=" @+")  # names may have any characters, headers may not
    return headers


def tls_of(ca: str) -> ssl.SSLContext:
    """Return the rules for the certificate of a host: those of the system, or the given authority's."""
    if not ca.strip():
        return ssl.create_default_context()
    return ssl.create_default_context(cadata=ca)


def call(
    host: Host,
    method: str,
    route: str,
    *,
    body: Any = None,
    query: Mapping[str, Any] | None = None,
    user: str = "",
    seconds: float = _ANSWER_SECONDS,
    headers: Mapping[str, str] | None = None,
    with_token: bool = True,
) -> Answer:
    """Send a request to a route below ``/api/v1/daemon/`` of a host, once, and return the answer.

    Raise NoConnection if nothing has arrived, HostUnreachable if that isn't known, and TokenUnreadable.
    """
    sent = {**(headers_for(host, user) if with_token else {}), **(headers or {})}
    if body is not None:
        sent["Content-Type"] = "application/json"
    url = host.url.rstrip("/") + PATH + route + (f"?{urlencode(query, doseq=True)}" if query else "")
    with reaching(host):
        response = pool_of(host).request(
            method,
            url,
            body=None if body is None else orjson.dumps(body),
            headers=sent,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=seconds),
            preload_content=False,
        )
        content = _content_of(response, host)
    if not 200 <= response.status < 600:
        raise NotADaemon(f"Host '{host.name}' has answered with the status {response.status}")
    document = None
    with contextlib.suppress(ValueError):
        document = parsed(content)
    return Answer(response.status, document)


def _content_of(response: urllib3.BaseHTTPResponse, host: Host) -> bytes:
    """Return the body of an answer; raise HostUnreachable if it is too long."""
    content = bytearray()
    while piece := response.read(_PIECE_BYTES):
        content += piece
        if len(content) > MOST_BYTES:
            response.close()
            raise HostUnreachable(f"The answer of host '{host.name}' is too long")
    return bytes(content)


def parsed(content: bytes) -> Any:
    """Return parsed JSON without the character zero, which a database can't hold."""
    return orjson.loads(content.replace(rb"\u0000", rb"\ufffd"))


def pool_of(host: Host) -> urllib3.PoolManager:
    """Return the connections to a host. Redirects are not followed, and nothing is sent twice."""
    key = (host.url, host.ca)
    with _lock:
        if key not in _pools:
            if len(_pools) >= _MAX_HOSTS:
                _pools.pop(next(iter(_pools))).clear()
            _pools[key] = urllib3.PoolManager(
                maxsize=_KEPT_CONNECTIONS,
                retries=urllib3.Retry(0, redirect=False, raise_on_redirect=False),
                ssl_context=tls_of(host.ca) if host.has_tls else None,
            )
        return _pools[key]


@contextlib.contextmanager
def reaching(host: Host) -> Iterator[None]:
    """Raise NoConnection or HostUnreachable, with a sentence, for what goes wrong on the way to a host."""
    try:
        yield
    except (HTTPError, HTTPException, OSError) as problem:
        reason = getattr(problem, "reason", None) or problem
        kind = NoConnection if _is_before_sending(reason) else HostUnreachable
        raise kind(f"Host '{host.name}' can't be reached: {_said(reason)}") from problem


def _is_before_sending(reason: BaseException) -> bool:
    """Return whether nothing of a request was sent. Of TLS, only a certificate tells that for sure."""
    if isinstance(reason, SSLError):
        return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in reason.args)
    return isinstance(reason, ConnectTimeoutError)  # and its kinds, such as a refused connection


def is_distrusted(problem: HostUnreachable) -> bool:
    """Return whether a host was not reached because of its certificate."""
    cause = problem.__cause__
    return isinstance(getattr(cause, "reason", None) or cause, SSLError)


def _said(problem: BaseException) -> str:
    """Return what a library says of a problem, without the object that it begins with."""
    if isinstance(problem, ConnectTimeoutError) and not isinstance(problem, NewConnectionError):
        return "no connection in time"
    return (
        str(problem).rpartition(">: ")[2].partition("] ")[2]
        or str(problem).rpartition(": ")[2]
        or "no answer"
    )
