"""The process that follows hosts: which ones it holds, a session for each, and what it writes."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import aiohttp
from django.db import DatabaseError, InterfaceError, close_old_connections

from daemon_programs.streams import descriptors
from daemon_programs.text import on_one_line
from fleet import database
from fleet.following import leases, store
from fleet.following.heard import Heard
from fleet.following.session import Session
from fleet.following.writer import Writer
from fleet.models import Host

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Without hosts it ends. supervisord takes one that ends earlier for one that can't run.
_LINGER_SECONDS = 30.0
_PURGE_SECONDS = 600.0
_UNUSABLE_SECONDS = 10.0  # between attempts to use a database of hosts that can't be used
_FILES = 8192  # a host takes two connections
_END_SECONDS = 5.0


class Follower:
    """Follow hosts until it is stopped, or there are none."""

    def __init__(self) -> None:
        self.name = leases.name_follower()
        # One thread: it has one connection to the database, and writes one batch after the other.
        self._thread = ThreadPoolExecutor(1, "database")
        self._writer = Writer(self.name, self._in_database, self._drop)
        self._sessions: dict[int, tuple[Host, asyncio.Task[None]]] = {}
        self._had_hosts_at = time.monotonic()
        self._purged_at = time.monotonic()
        self._emptied_until: datetime | None = None
        self._is_failing = False

    async def run(self) -> None:
        """Follow hosts; return when there have been none for a while, or at SIGTERM."""
        descriptors.raise_limit(_FILES)
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        ) as self._http:
            writing = asyncio.create_task(self._writer.run())
            try:
                await self._follow(stopping)
            finally:
                await self._end(writing)

    async def _follow(self, stopping: asyncio.Event) -> None:
        is_prepared = False
        while not stopping.is_set():
            pause = leases.RENEWED_SECONDS
            try:
                if not is_prepared:
                    await self._in_database(database.prepare)
                    await self._in_database(leases.inherit, self.name)
                    is_prepared = True
                await self._renew()
                await self._purge()
                self._is_failing = False
            except database.HubDatabaseUnusable as problem:
                self._report(problem)
                pause = _UNUSABLE_SECONDS
            except (DatabaseError, InterfaceError) as problem:
                self._report(problem)
            if self._is_idle():
                return  # at once: who adds a host now takes this process for one that will follow it
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)

    def _is_idle(self) -> bool:
        return time.monotonic() - self._had_hosts_at > _LINGER_SECONDS

    async def _renew(self) -> None:
        """Renew the leases, follow the hosts that are new, and leave those that are gone or others' share."""
        share: leases.Share = await self._in_database(leases.renew, self.name)
        if not share.is_alone:
            self._had_hosts_at = time.monotonic()
        kept = share.hosts[: len(share.hosts) - share.surplus]
        surplus = [host.pk for host in share.hosts[len(kept) :]]
        held = {host.pk: host for host in kept}
        changed = {
            pk
            for pk, (host, task) in self._sessions.items()
            if task.done() or _address(host) != _address(held.get(pk))  # none is done but by a fault
        }
        self._drop(changed)
        self._writer.forget(changed)
        if surplus:
            await self._in_database(leases.give_back, self.name, surplus)
        for pk, host in held.items():
            if pk not in self._sessions:
                session = Session(self._http, host, partial(self._tell, host))
                self._sessions[pk] = host, asyncio.create_task(session.run())

    async def _tell(self, host: Host, pk: int, heard: Heard) -> None:
        """Have what a session has heard written, unless it was ended: what it told before was dropped.

        A gap before a later event would never be closed.
        """
        if pk in self._sessions and self._sessions[pk][0] is host:
            await self._writer.tell(pk, heard)

    async def _purge(self) -> None:
        if self._sessions and time.monotonic() - self._purged_at > _PURGE_SECONDS:
            self._purged_at = time.monotonic()
            self._emptied_until = await self._in_database(store.empty_usage, self._emptied_until)
            await self._in_database(store.purge)

    def _drop(self, hosts: set[int]) -> None:
        """End the sessions of hosts; new ones of those that are still held begin with what is stored."""
        for host in hosts & self._sessions.keys():
            self._sessions.pop(host)[1].cancel()

    async def _end(self, writing: "asyncio.Task[None]") -> None:
        """End all sessions, write what they have told, and give the hosts back."""
        tasks = [task for _, task in self._sessions.values()]
        self._drop(set(self._sessions))
        await asyncio.gather(*tasks, return_exceptions=True)
        self._writer.end()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await writing
                await self._writer.write()
                await self._in_database(leases.leave, self.name)
        except (DatabaseError, InterfaceError, TimeoutError) as problem:
            logger.warning("The hosts could not be given back: %s", problem or "it takes too long")
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _in_database(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, _connected, function, *arguments
        )

    def _report(self, problem: Exception) -> None:
        """Log the first of several failures in a row. Whether there are hosts is not known then."""
        self._had_hosts_at = time.monotonic()
        if not self._is_failing:
            logger.warning("The hosts can't be followed at the moment: %s", on_one_line(problem))
        self._is_failing = True


def _connected(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function that uses the database; a connection that has failed is not used again."""
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()


def _address(host: Host | None) -> object:
    """Return what a session needs of a host: with another one, it has to begin again."""
    return host and (host.name, host.url, host.ca, host.sealed_token)
