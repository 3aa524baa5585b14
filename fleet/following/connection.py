"""Requests and streams of one host, for the process that follows hundreds of them."""

import asyncio
import hashlib
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any

import aiohttp

from fleet.client import MOST_BYTES, PATH, headers_for, parsed, tls_of
from fleet.following.sse import Event, Parser
from fleet.models import Host

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
# A stream has a comment every 15 seconds.
SILENT_SECONDS = 40.0
_VERSION = re.compile(rb'^daemon_build_info\{version="([^"]{1,50})"\}', re.MULTILINE)


class Lost(Exception):
    """The host does not answer, or not as a daemon would: a sentence."""


class Refused(Exception):
    """The host does not accept the token, or what its user may do does not suffice: a sentence."""


class Connection:
    """What a follower asks one host for. Raise Lost, Refused and TokenUnreadable."""

    def __init__(self, session: aiohttp.ClientSession, host: Host) -> None:
        self._session = session
        self._host = host
        self._headers = headers_for(host)

    async def programs(self, *, with_stats: bool) -> list[dict[str, Any]]:
        """Return the documents of all programs, with their statuses."""
        query = {"include_status": "true", **({"include_stats": "true"} if with_stats else {})}
        found = await self._get(f"{PATH}programs", query)
        return list(found["programs"])

    async def configuration(self) -> bytes:
        """Return a digest of all programs as they are configured, which is cheap to make and to compare."""
        async with self._asked(f"{PATH}programs", {}) as response:
            return hashlib.blake2b(await content_of(response), digest_size=16).digest()

    async def newest_events(self, most: int) -> list[dict[str, Any]]:
        """Return the newest events, oldest first."""
        found = await self._get(f"{PATH}events", {"limit": str(most)})
        return list(reversed(found["events"]))

    async def machine(self) -> tuple[str, dict[str, Any]]:
        """Return the version of the daemon, and of its machine what it tells; early versions tell nothing."""
        found = await self._get(f"{PATH}machine", {}, missing={})
        if found:
            return str(found["version"])[:50], dict(found["machine"])
        async with self._asked("/metrics", {}) as response:
            metrics = await content_of(response)
        version = _VERSION.search(metrics)
        return version[1].decode(errors="replace") if version else "", {}

    @asynccontextmanager
    async def stream(self, position: int) -> AsyncIterator[AsyncIterator[Event]]:
        """Open the stream of events after a position."""
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=SILENT_SECONDS)
        headers = {"Last-Event-ID": str(position)}
        async with AsyncExitStack() as opened:
            with self.translated():
                # A stream may be silent for longer, but not before it begins.
                async with asyncio.timeout(_ANSWER_SECONDS):
                    asked = self._asked(f"{PATH}events/stream", {}, headers, timeout)
                    response = await opened.enter_async_context(asked)
            if response.content_type != "text/event-stream":
                raise Lost(self._sentence("does not answer as a daemon does"))
            yield self._events(response)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        parser = Parser()
        with self.translated():
            async for received in response.content.iter_any():
                for event in parser.feed(received):
                    yield event
        raise Lost(self._sentence("has ended the stream"))

    async def _get(
        self, path: str, query: Mapping[str, str], *, missing: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        async with self._asked(path, query, missing=missing is not None) as response:
            if response.status == 404 and missing is not None:
                return missing
            content = await content_of(response)
        return parsed(content)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Raise Lost for what goes wrong with a connection, and for what is not as a daemon tells it."""
        try:
            yield
        except (aiohttp.ClientError, OSError) as problem:
            raise Lost(self._sentence(f"can't be reached: {_reason(problem)}")) from problem
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
            raise Lost(self._sentence(f"can't be understood: {problem!r}")) from problem

    @asynccontextmanager
    async def _asked(
        self,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
        *,
        missing: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._host.url.rstrip("/")
        with self.translated():
            async with self._session.get(
                url + path,
                params=query,
                headers={**self._headers, **(headers or {})},
                timeout=timeout or aiohttp.ClientTimeout(_ANSWER_SECONDS, sock_connect=_CONNECT_SECONDS),
                ssl=_tls(self._host.ca) if self._host.has_tls else True,
                allow_redirects=False,
            ) as response:
                if response.status != 200 and not (missing and response.status == 404):
                    raise await self._fault(response)
                yield response

    async def _fault(self, response: aiohttp.ClientResponse) -> Lost | Refused:
        kind = Refused if response.status in (401, 403) else Lost
        try:
            told = str(parsed(await content_of(response))["error"])
        except (ValueError, KeyError, TypeError):
            told = f"the status {response.status}"
        return kind(self._sentence(f"answers: {told[:500]}"))

    def _sentence(self, text: str) -> str:
        return f"Host '{self._host.name}' {text}"


async def content_of(response: aiohttp.ClientResponse) -> bytes:
    """Return a whole body; raise ValueError if it is longer than that of any daemon."""
    content = bytearray()
    async for received in response.content.iter_any():
        content += received
        if len(content) > MOST_BYTES:
            raise ValueError("an answer is too long")
    return bytes(content)


@lru_cache(maxsize=1000)
def _tls(ca: str) -> ssl.SSLContext:
    return tls_of(ca)


def _reason(problem: BaseException) -> str:
    """Return what has gone wrong on the way to a host, without addresses that the sentence does not need."""
    if isinstance(problem, TimeoutError):
        return "no answer in time"
    if isinstance(problem, aiohttp.ClientConnectorCertificateError):
        return str(problem.certificate_error)
    if isinstance(problem, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "it has ended the connection"
    if isinstance(problem, aiohttp.ClientConnectorError):
        number = problem.os_error.errno
        return os.strerror(number) if number and number > 0 else problem.os_error.strerror or "no connection"
    return str(problem) or type(problem).__name__
