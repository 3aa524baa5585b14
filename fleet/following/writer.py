"""Collect what was heard of all hosts, and write it in batches: few transactions, however many hosts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from django.db import InterfaceError, OperationalError

from fleet.following import store
from fleet.following.heard import Heard

logger = logging.getLogger(__name__)

_COLLECT_SECONDS = 0.2
_LATER_SECONDS = 2.0  # until is written that nothing has changed
_AGAIN_SECONDS = 1.0  # while the database is away
_MOST_ROWS = 5000  # of a batch
_MOST_WAITING = 2000  # of one host: a session with more waits until they are written
_MOST_WHILE_AWAY = 200  # the same while the database is away: then it is so of all hosts

# Runs a function in the thread that has the connection to the database.
InDatabase = Callable[..., Awaitable[Any]]


class Writer:
    """What is not written yet, by host, and the task that writes it."""

    def __init__(self, follower: str, in_database: InDatabase, on_loss: Callable[[set[int]], None]) -> None:
        """Write as ``follower``; ``on_loss`` is called with hosts of which no more can be written."""
        self._follower, self._in_database, self._on_loss = follower, in_database, on_loss
        self._waiting: dict[int, Heard] = {}
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None  # after which what can wait is written
        self._is_failing = self._is_ending = False

    async def tell(self, host: int, heard: Heard) -> None:
        """Have what was heard of a host written soon; wait while much of that host is not written yet."""
        self._waiting.setdefault(host, Heard()).add(heard)
        if not heard.can_wait:
            self._has_news.set()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(_LATER_SECONDS, self._has_news.set)
        while host in self._waiting and len(self._waiting[host]) > self._most_waiting:
            self._has_room.clear()
            await self._has_room.wait()

    def forget(self, hosts: Iterable[int]) -> None:
        """Drop what is not written of hosts that are no longer followed from here."""
        for host in hosts:
            self._waiting.pop(host, None)
        self._has_room.set()

    @property
    def _most_waiting(self) -> int:
        return _MOST_WHILE_AWAY if self._is_failing else _MOST_WAITING

    def end(self) -> None:
        """Have ``run`` return after the batch that it writes: without that one, a later one leaves a gap."""
        self._is_ending = True
        self._has_news.set()

    async def run(self) -> None:
        """Write until the end is asked for."""
        while not self._is_ending:
            await self._has_news.wait()
            await asyncio.sleep(_COLLECT_SECONDS)
            try:
                await self.write()
                self._is_failing = False
            except (OperationalError, InterfaceError) as problem:
                if not self._is_failing:
                    logger.warning("What the hosts tell can't be written at the moment: %s", problem)
                self._is_failing = True
                await asyncio.sleep(_AGAIN_SECONDS)

    async def write(self) -> None:
        """Write what waits, as far as it fits into a batch; put it back if the database is away."""
        batch = self._take()
        if not batch:
            return
        try:
            self._lose(await self._in_database(store.write, self._follower, batch))
        except (OperationalError, InterfaceError):
            self._put_back(batch)
            raise
        except Exception:
            await self._write_one_by_one(batch)
        self._has_room.set()

    async def _write_one_by_one(self, batch: dict[int, Heard]) -> None:
        """Write the hosts apart from each other, since what one has told can't be written."""
        while batch:
            host, heard = batch.popitem()
            try:
                self._lose(await self._in_database(store.write, self._follower, {host: heard}))
            except (OperationalError, InterfaceError):
                self._put_back({**batch, host: heard})
                raise
            except Exception:
                logger.exception("What host %s has told can't be written", host)
                self._lose({host})

    def _take(self) -> dict[int, Heard]:
        batch: dict[int, Heard] = {}
        rows = 0
        while self._waiting and rows < _MOST_ROWS:
            host = next(iter(self._waiting))  # the one that waits for longest
            batch[host] = self._waiting.pop(host)
            rows += len(batch[host])
        if not self._waiting:
            self._has_news.clear()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        return batch

    def _put_back(self, batch: dict[int, Heard]) -> None:
        for host, later in self._waiting.items():
            if host in batch:
                batch[host].add(later)
            else:
                batch[host] = later
        self._waiting = batch
        self._has_news.set()

    def _lose(self, hosts: set[int]) -> None:
        if hosts:
            self.forget(hosts)
            self._on_loss(hosts)
