"""What was heard waits until it is written, and what can't be written holds up nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, OperationalError

from fleet.following import writer as writers
from fleet.following.heard import Heard, UsageOfHost
from fleet.following.writer import Writer


class Database:
    """Takes batches in place of the store."""

    def __init__(self) -> None:
        self.written: list[dict[int, list[int]]] = []
        self.is_away = False
        self.refused: set[int] = set()  # hosts
        self.held = {1, 2, 3}
        self.lost: set[int] = set()

    async def run(self, function: Any, follower: str, batch: dict[int, Heard]) -> set[int]:
        await asyncio.sleep(0)
        if self.is_away:
            raise OperationalError("away")
        if self.refused & batch.keys():
            raise DataError("a character")
        numbers = {host: [event["id"] for event in heard.events] for host, heard in batch.items()}
        self.written.append({host: events for host, events in numbers.items() if host in self.held})
        return batch.keys() - self.held


def run(monkeypatch: pytest.MonkeyPatch, test: Callable[[Writer, Database], Awaitable[None]]) -> None:
    monkeypatch.setattr(writers, "_COLLECT_SECONDS", 0.02)
    monkeypatch.setattr(writers, "_AGAIN_SECONDS", 0.02)

    async def all_of_it() -> None:
        database = Database()
        writer = Writer("a", database.run, database.lost.update)
        task = asyncio.create_task(writer.run())
        try:
            async with asyncio.timeout(5):
                await test(writer, database)
        finally:
            task.cancel()

    asyncio.run(all_of_it())


def heard(*numbers: int) -> Heard:
    return Heard(events=[{"id": number} for number in numbers])


def test_what_comes_close_together_is_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(writer: Writer, database: Database) -> None:
        await writer.tell(1, heard(1))
        await writer.tell(2, heard(5))
        await writer.tell(1, heard(2))
        await asyncio.sleep(0.1)
        await writer.tell(1, heard(3))
        await asyncio.sleep(0.1)
        assert database.written == [{1: [1, 2], 2: [5]}, {1: [3]}]

    run(monkeypatch, test)


def test_that_nothing_has_changed_is_written_later_or_with_other_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writers, "_LATER_SECONDS", 0.2)

    async def test(writer: Writer, database: Database) -> None:
        await writer.tell(1, Heard(link={"heard_at": 1}))
        await asyncio.sleep(0.1)
        assert database.written == []
        await asyncio.sleep(0.2)
        assert database.written == [{1: []}]
        await writer.tell(1, Heard(link={"heard_at": 2}))
        await writer.tell(2, Heard(link={"state": "current"}))
        await asyncio.sleep(0.1)
        assert database.written[1:] == [{1: [], 2: []}]

    run(monkeypatch, test)


def test_what_waits_for_the_database_stays_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(writer: Writer, database: Database) -> None:
        database.is_away = True
        await writer.tell(1, heard(1))
        await asyncio.sleep(0.1)
        await writer.tell(1, heard(2))
        await writer.tell(2, heard(7))
        await asyncio.sleep(0.1)
        database.is_away = False
        await asyncio.sleep(0.1)
        assert database.written == [{1: [1, 2], 2: [7]}]

    run(monkeypatch, test)


def test_host_whose_news_cannot_be_written_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(writer: Writer, database: Database) -> None:
        database.refused = {2}
        for host in (1, 2, 3):
            await writer.tell(host, heard(host))
        await asyncio.sleep(0.1)
        assert {host for batch in database.written for host in batch} == {1, 3}
        assert database.lost == {2}

    run(monkeypatch, test)


def test_hosts_that_others_hold_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(writer: Writer, database: Database) -> None:
        database.held = {1}
        await writer.tell(1, heard(1))
        await writer.tell(2, heard(1))
        await asyncio.sleep(0.1)
        assert (database.written, database.lost) == ([{1: [1]}], {2})

    run(monkeypatch, test)


def test_hosts_may_tell_less_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_MOST_WHILE_AWAY", 10)

    async def test(writer: Writer, database: Database) -> None:
        await writer.tell(1, heard(*range(20)))
        database.is_away = True
        await asyncio.sleep(0.1)
        more = asyncio.create_task(writer.tell(1, heard(20)))
        await asyncio.sleep(0.1)
        assert not more.done()
        database.is_away = False
        await more
        assert database.written == [{1: list(range(21))}]

    run(monkeypatch, test)


def test_usage_that_waits_is_limited() -> None:
    waiting = Heard()
    for minute in range(100):
        waiting.add(Heard(usage=[UsageOfHost(datetime.fromtimestamp(60 * minute, UTC), {})]))
    assert [usage.at.timestamp() for usage in waiting.usage] == [60 * each for each in range(90, 100)]


def test_end_waits_for_the_batch_that_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_COLLECT_SECONDS", 0.02)
    is_free = asyncio.Event()
    database = Database()

    async def slow(*arguments: Any) -> set[int]:
        await is_free.wait()
        return await database.run(*arguments)

    async def test() -> None:
        writer = Writer("a", slow, database.lost.update)
        writing = asyncio.create_task(writer.run())
        await writer.tell(1, heard(1))
        await asyncio.sleep(0.1)
        writer.end()
        await asyncio.sleep(0.1)
        assert not writing.done()
        is_free.set()
        async with asyncio.timeout(5):
            await writing
        assert database.written == [{1: [1]}]

    asyncio.run(test())


def test_host_that_tells_much_waits_until_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "_MOST_WAITING", 10)
    monkeypatch.setattr(writers, "_MOST_ROWS", 15)

    async def test(writer: Writer, database: Database) -> None:
        database.is_away = True
        much = asyncio.create_task(writer.tell(1, heard(*range(20))))
        await asyncio.sleep(0)
        await writer.tell(2, heard(1))
        await asyncio.sleep(0.1)
        assert not much.done()
        database.is_away = False
        await much
        await asyncio.sleep(0.1)
        assert database.written == [{1: list(range(20))}, {2: [1]}]

    run(monkeypatch, test)
