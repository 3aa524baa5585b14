"""The connection to the plugin: it says what to watch, and hears what was found (`plugin.sockets`)."""

import asyncio
import json
import logging
from collections.abc import Iterable
from typing import Any

from daemon_programs.supervisor.prober.checks import Checks
from daemon_programs.supervisor.prober.watch import Watch

logger = logging.getLogger(__name__)

_RECONNECT_SECONDS = 0.2
_MOST_BYTES_OF_LINE = 64 * 1024 * 1024  # of a command's environment, mostly


class Session:
    """Watches the runs that the plugin names, while there is a connection to it."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._checks = Checks(frozenset(hosts))
        self._watches: dict[int, Watch] = {}
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, path: str) -> None:
        """Connect, again after each loss of the connection, and do as the plugin says."""
        while True:
            try:
                reader, self._writer = await asyncio.open_unix_connection(path, limit=_MOST_BYTES_OF_LINE)
                await self._read(reader)
            except OSError:
                pass  # supervisord is starting, or has found this process too slow
            finally:
                await self._end_all()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            try:
                self._take(json.loads(line))
            except Exception:  # of one program; the others are probed all the same
                logger.exception("An order of the plugin can't be followed")

    def _take(self, order: dict[str, Any]) -> None:
        if "watch" in order:
            number = order["watch"]
            self._watches[number] = Watch(order, self._checks, lambda found: self._report(number, found))
        elif "output" in order:
            watch = self._watches.get(order["output"])
            if watch is not None:
                watch.take_output(order["channel"], order["text"])
        elif "beat" in order:
            watch = self._watches.get(order["beat"])
            if watch is not None:
                watch.take_beat()
        elif watch := self._watches.pop(order["end"], None):
            watch.end()

    def _report(self, number: int, found: dict[str, Any]) -> None:
        if self._writer is not None:
            self._writer.write(json.dumps({"run": number, **found}).encode() + b"\n")

    async def _end_all(self) -> None:
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            watch.end()
        await asyncio.gather(*(watch.ended() for watch in watches.values()))
        if self._writer is not None:
            self._writer.close()
            self._writer = None
