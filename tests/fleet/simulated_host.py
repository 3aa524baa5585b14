"""A host that is only simulated: what it answers can be changed, and it can be of any version."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

API = "/api/v1/daemon"


class SimulatedHost:
    """A server that speaks as much of the API as a follower asks for."""

    def __init__(self) -> None:
        self.url = ""
        self.programs: list[dict[str, Any]] = [self.program(1)]
        self.history: list[dict[str, Any]] = []
        self.faults: dict[str, web.Response] = {}  # by route
        self.resumed: list[int] = []  # the position of each stream
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.machine: dict[str, Any] | None = {"cpus": 2}  # None: of a version that does not tell
        self.on_snapshot: Callable[[], object] = lambda: None
        self.may_answer = asyncio.Event()  # requests for a stream
        self.may_answer.set()
        self._streams: list[asyncio.Queue[bytes | None]] = []

    @staticmethod
    def program(id: int, status: str = "stopped", **fields: Any) -> dict[str, Any]:
        return {
            "id": id,
            "name": f"p{id}",
            "enabled": True,
            **fields,
            "status": {"id": id, "status": status, "uptime": "0:00:01"},
        }

    def happen(self, state: str, program: int = 1, **fields: Any) -> int:
        """Record a state change, and send it to the streams."""
        number = self.history[-1]["id"] + 1 if self.history else 1
        change = {
            "id": number,
            "at": "2026-11-21T18:40:00.123Z",
            "program_id": program,
            "name": f"p{program}",
            "state": state,
            **fields,
        }
        self.history.append(change)
        self.send(f"id: {number}\nevent: state\ndata: {json.dumps(change)}\n\n")
        return number

    def send(self, text: str) -> None:
        for stream in self._streams:
            stream.put_nowait(text.encode())

    def cut(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.put_nowait(None)
        self._streams.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SimulatedHost"]:
        application = web.Application()
        application.router.add_get("/{route:.*}", self._answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
        try:
            yield self
        finally:
            self.cut()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        route = "/" + request.match_info["route"]
        self.asked.append((route.removeprefix(f"{API}/"), dict(request.query)))
        if fault := self.faults.get(route.removeprefix(f"{API}/")):
            return web.Response(status=fault.status, body=fault.body, content_type=fault.content_type)
        if route == f"{API}/events/stream":
            return await self._stream(request)
        if route == f"{API}/events":
            newest = self.history[::-1][: int(request.query["limit"])]
            return web.json_response({"success": True, "events": newest, "next": None})
        if route == f"{API}/programs":
            hidden = {"status", "stats"} if "include_status" not in request.query else set[str]()
            listed = [{k: v for k, v in each.items() if k not in hidden} for each in self.programs]
            answer = web.json_response({"programs": listed})
            if not hidden:
                self.on_snapshot()
            return answer
        if route == f"{API}/machine" and self.machine is not None:
            return web.json_response({"success": True, "version": "9.9.9", "machine": self.machine})
        if route == "/metrics":
            return web.Response(text='# HELP\ndaemon_build_info{version="1.0.0"} 1.0\n')
        return web.json_response({"success": False, "error": "There is nothing"}, status=404)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        position = int(request.headers["Last-Event-ID"])
        self.resumed.append(position)
        await self.may_answer.wait()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        for event in self.history:
            if event["id"] > position:
                queue.put_nowait(f"id: {event['id']}\nevent: state\ndata: {json.dumps(event)}\n\n".encode())
        self._streams.append(queue)
        with contextlib.suppress(ConnectionResetError):
            while (part := await queue.get()) is not None:
                await response.write(part)
        return response


def refusal(code: int, sentence: str) -> web.Response:
    return web.json_response({"success": False, "error": sentence}, status=code)
