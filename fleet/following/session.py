"""Follow one host: the stream of its events, and a look at its programs now and then."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import aiohttp

from fleet.client import parsed
from fleet.exceptions import TokenUnreadable
from fleet.following.connection import Connection, Lost, Refused
from fleet.following.heard import Heard, ProgramNow, UsageOfHost
from fleet.following.known import Known
from fleet.following.sse import Event
from fleet.models import Host, Link

logger = logging.getLogger(__name__)

# An edit of a program makes no event, so its list is looked at.
LOOK_SECONDS = 5.0
_SOON_SECONDS = 1.0  # after a change that was asked for
_USAGE_SECONDS = 60.0
_FIRST_EVENTS = 100  # of a host that was not followed before
_FIRST_PAUSE_SECONDS = 0.5  # doubled with each failure
_LONGEST_PAUSE_SECONDS = 4.0
_REFUSED_PAUSE_SECONDS = 15.0  # a host counts attempts without a valid token

Tell = Callable[[int, Heard], Awaitable[None]]


class Session:
    """The task that follows a host for as long as it is not cancelled."""

    def __init__(self, http: aiohttp.ClientSession, host: Host, tell: Tell) -> None:
        """Follow ``host``, which has its link, and ``tell`` what is heard."""
        self._http, self._host, self._tell = http, host, tell
        self._position: int | None = host.link.position
        self._state, self._error = host.link.state, host.link.error
        self._note = ""  # what stays to be said while the link is current
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._known = Known()
        self._configuration = b""  # a digest of the programs as they were last seen to be configured
        self._has_told_all = False
        self._newest = 0  # the last event that a snapshot has seen for certain
        self._later: list[dict[str, Any]] | None = None  # events since a snapshot was asked for
        self._look_soon = asyncio.Event()
        self._usage_due = 0.0

    async def run(self) -> None:
        """Follow the host, and connect again and again once it is lost."""
        while True:
            longest = min(self._pause_seconds, _LONGEST_PAUSE_SECONDS)
            self._pause_seconds = 2 * longest
            try:
                await self._follow(Connection(self._http, self._host))
            except (Refused, TokenUnreadable) as problem:
                await self._tell_link(Link.State.REFUSED, str(problem))
                longest = _REFUSED_PAUSE_SECONDS
            except Lost as problem:
                await self._tell_link(Link.State.LOST, str(problem))
            except Exception as problem:
                logger.exception("Host '%s' can't be followed", self._host.name)
                await self._tell_link(Link.State.LOST, f"Host '{self._host.name}': {problem!r}")
            await asyncio.sleep(longest * random.uniform(0.5, 1))  # noqa: S311

    async def _follow(self, connection: Connection) -> None:
        """Open the stream, take a snapshot, and follow both until one of them fails.

        The stream comes first, so nothing can happen in between.
        """
        async with contextlib.AsyncExitStack() as opened:
            await self._find_position(connection)
            stream = await opened.enter_async_context(connection.stream(self._position or 0))
            listening = await opened.enter_async_context(_beside(self._listen(connection, stream)))
            await self._look(connection, with_stats=True)
            self._pause_seconds = _FIRST_PAUSE_SECONDS
            looking = await opened.enter_async_context(_beside(self._look_again(connection)))
            done, _ = await asyncio.wait((listening, looking), return_when=asyncio.FIRST_COMPLETED)
            self._note = ""
            for task in done:
                task.result()

    async def _find_position(self, connection: Connection) -> None:
        """Find out where to begin, and which events a snapshot has seen for certain."""
        is_first = self._position is None
        events = await connection.newest_events(_FIRST_EVENTS if is_first else 1)
        self._newest = events[-1]["id"] if events else 0
        if is_first:
            await self._hear(Heard(events=events, position=self._newest))
        elif self._newest < (self._position or 0):
            self._note = f"Its history was replaced by another one, which ends with event {self._newest}"
            await self._hear(Heard(replaced_after=self._newest, position=self._newest))
        else:
            return
        self._position = self._newest

    async def _listen(self, connection: Connection, stream: AsyncIterator[Event]) -> None:
        async for event in stream:
            with connection.translated():
                if event.name == "state":
                    await self._take(parsed(event.data))
                elif event.name == "reset":
                    self._note = "Events were removed from its history before they could be followed"
                elif event.id is not None and int(event.id) > (self._position or 0):
                    self._position = int(event.id)
                    await self._hear(Heard(position=self._position))

    async def _take(self, event: dict[str, Any]) -> None:
        self._position = event["id"]
        if event["id"] > self._newest:
            if self._later is not None:
                self._later.append(event)
            if self._known.apply(event):
                self._look_soon.set()
        await self._hear(Heard(events=[event], position=self._position, programs=self._changed()))

    async def _look_again(self, connection: Connection) -> None:
        """Look at the programs again and again, and soon after a change that may have edited one."""
        while True:
            with contextlib.suppress(TimeoutError):
                pause = LOOK_SECONDS * random.uniform(0.8, 1)  # noqa: S311
                await asyncio.wait_for(self._look_soon.wait(), pause)
                await asyncio.sleep(_SOON_SECONDS)
            await self._look_if_needed(connection)

    async def _look_if_needed(self, connection: Connection) -> None:
        """Take a snapshot if it may tell more than is known; find out whether a program was edited."""
        asked_at = datetime.now(UTC)
        configuration = await connection.configuration()
        is_due = time.monotonic() >= self._usage_due
        if is_due or self._look_soon.is_set() or configuration != self._configuration:
            self._look_soon.clear()
            await self._look(connection, with_stats=is_due)
            self._configuration = configuration  # which may be older than the snapshot
        else:
            await self._hear(Heard(link={"heard_at": asked_at}))

    async def _look(self, connection: Connection, *, with_stats: bool) -> None:
        """Take a snapshot of the programs; with stats also of what they use, and of the machine."""
        asked_at = datetime.now(UTC)
        heard = Heard(link={"heard_at": asked_at})
        if with_stats:
            heard.link["version"], heard.link["machine"] = await connection.machine()
        self._later = []
        with connection.translated():
            listed = await connection.programs(with_stats=with_stats)
            self._known.replace(listed, with_stats=with_stats, later=self._later)
        self._later = None
        heard.programs = self._changed()
        if not self._has_told_all:
            heard.programs = {id: self._now(id) for id in self._known.programs}
            heard.has_all_programs = self._has_told_all = True
        if with_stats:
            heard.usage = [UsageOfHost(asked_at, dict(self._known.usage))]
            self._usage_due = time.monotonic() + _USAGE_SECONDS
        await self._hear(heard)
        await self._tell_link(Link.State.CURRENT, self._note)

    def _changed(self) -> dict[int, ProgramNow | None]:
        return {id: self._now(id) for id in self._known.take_changed()}

    def _now(self, id: int) -> ProgramNow | None:
        document = self._known.programs.get(id)
        return None if document is None else ProgramNow(document, self._known.usage.get(id))

    async def _tell_link(self, state: str, error: str) -> None:
        """Tell how it stands with the link, if that has changed."""
        if (state, error) == (self._state, self._error):
            return
        link: dict[str, Any] = {"state": state, "error": error}
        if state != self._state:
            link["since"] = datetime.now(UTC)
        self._state, self._error = state, error
        await self._hear(Heard(link=link))

    async def _hear(self, heard: Heard) -> None:
        await self._tell(self._host.pk, heard)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """Run a task beside a block, and end it with the block."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])  # unlike the task itself, this can still be cancelled
        if not task.cancelled():
            task.exception()  # which has been raised if it counts
