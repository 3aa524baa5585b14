"""The simulated hosts answer as the OpenAPI document says, so what is measured with them means something."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from drf_spectacular.generators import SchemaGenerator

from tests.fleet.simulated_hosts import API, SimulatedHost, address, application
from tests.test_openapi import JSON, _validator

Ask = Callable[..., Awaitable[Any]]


def simulated(test: Callable[[list[SimulatedHost], ClientSession, str], Awaitable[None]]) -> None:
    """Run a test with two hosts of three programs, and the address of the second one."""

    async def run() -> None:
        hosts = [SimulatedHost(number, 3) for number in range(2)]
        async with TestServer(application(hosts), host="0.0.0.0") as server, ClientSession() as client:
            await test(hosts, client, f"http://{address(1)}:{server.port}")

    asyncio.run(asyncio.wait_for(run(), 20))


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return schema


def test_answers_are_as_documented(document: dict[str, Any]) -> None:
    async def test(hosts: list[SimulatedHost], client: ClientSession, url: str) -> None:
        hosts[1].change(1, "exited")
        hosts[1].change(2, "starting")
        for route in (
            "programs?include_status=true&include_stats=true",
            "programs?include_status=true",
            "events",
            "status",
        ):
            async with client.get(f"{url}{API}/{route}") as answer:
                content = await answer.json()
            operation = document["paths"][f"{API}/{route.partition('?')[0]}"]["get"]
            schema = operation["responses"]["200"]["content"][JSON]["schema"]
            problems = [problem.message for problem in _validator(schema, document).iter_errors(content)]
            assert problems == [], route
            assert next(each for each in content.values() if isinstance(each, list))

    simulated(test)


def test_hosts_are_told_apart_by_their_addresses() -> None:
    async def test(hosts: list[SimulatedHost], client: ClientSession, url: str) -> None:
        change = {"host": 1, "program_id": 2, "state": "fatal"}
        async with client.post(f"{url}/simulated/change", json=change) as answer:
            assert (await answer.json())["event"]["state"] == "fatal"
        states = {}
        for number in range(2):
            async with client.get(f"{url.replace(address(1), address(number))}{API}/programs") as answer:
                programs = (await answer.json())["programs"]
            states[number] = [each["status"]["status"] for each in programs]
        assert states == {0: ["running"] * 3, 1: ["running", "fatal", "running"]}

    simulated(test)
    assert address(299) == "127.1.1.50"


def test_streams_are_resumed() -> None:
    async def test(hosts: list[SimulatedHost], client: ClientSession, url: str) -> None:
        for state in ("exited", "starting", "running"):
            hosts[1].change(1, state)
        async with client.get(f"{url}{API}/events/stream", headers={"Last-Event-ID": "1"}) as stream:
            assert stream.content_type == "text/event-stream"
            received = b""
            while b'"state":"running"' not in received:
                received += await stream.content.readany()
            assert [line for line in received.split(b"\n") if line.startswith(b"id")] == [b"id: 2", b"id: 3"]
            hosts[0].change(1, "exited")
            hosts[1].change(3, "exited")
            live = await stream.content.readany()
            assert live.startswith(b"id: 4\nevent: state\ndata: {")

    simulated(test)
