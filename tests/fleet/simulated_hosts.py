"""Hundreds of hosts that are SIMULATED: one process that speaks the routes that a follower uses.

Nothing is run and nothing is checked: any token is good. The hosts have one port and an address each:
127.1.0.1, 127.1.0.2 and so on, by which they are told apart. Programs change their states at random, or as
`POST /simulated/change` says: ``{"host": 0, "program_id": 1, "state": "exited"}``.

    python -m tests.fleet.simulated_hosts --hosts 300 --programs 100 --port 9100 --changes 30
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

API = "/api/v1/daemon"
VERSION = "1.0.0"
_COMMENT_SECONDS = 15
_MOST_EVENTS = 2000  # that a host keeps
_NEXT = {"running": "exited", "exited": "starting", "starting": "running"}
_FLEET = web.AppKey("fleet", list)


def address(number: int) -> str:
    """Return the address of a host, counted from 0."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


class SimulatedHost:
    """A host: its programs, its history, and the streams that wait for more of it."""

    def __init__(self, number: int, programs: int) -> None:
        self.number = number
        self.programs = {id: self._program(id) for id in range(1, programs + 1)}
        self.events: deque[dict[str, Any]] = deque(maxlen=_MOST_EVENTS)
        self.changed = asyncio.Event()
        self._ids = itertools.count(1)
        self._listed: dict[bool, bytes] = {}
        self._started_at = time.time()

    def change(self, program_id: int, state: str) -> dict[str, Any]:
        """Record a state change, and wake the streams."""
        program = self.programs[program_id]
        event = {
            "id": next(self._ids),
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "program_id": program_id,
            "name": program["name"],
            "from_state": program["status"]["status"],
            "state": state,
            "by": "supervisord",
            "gap": False,
        }
        if state == "running":
            event["pid"] = program_id + 4710
        program["status"] = self._status(program_id, state)
        self.events.append(event)
        self._listed.clear()
        self.changed.set()
        self.changed = asyncio.Event()
        return event

    def change_any(self) -> None:
        """Change one of the programs to what comes next."""
        program = self.programs[random.randint(1, len(self.programs))]
        if following := _NEXT.get(program["status"]["status"]):
            self.change(program["id"], following)

    def listed(self, *, with_stats: bool) -> bytes:
        """Return the answer of the list, which is made once after each change."""
        if with_stats not in self._listed:
            documents = [
                {**each, "stats": self._stats(each["id"])}
                if with_stats and each["status"]["status"] == "running"
                else each
                for each in self.programs.values()
            ]
            self._listed[with_stats] = orjson.dumps({"programs": documents})
        return self._listed[with_stats]

    def after(self, number: int) -> Iterator[dict[str, Any]]:
        """Yield the events after one."""
        return (event for event in list(self.events) if event["id"] > number)

    def machine(self) -> dict[str, Any]:
        """Return what it tells of its machine."""
        return {
            "cpus": 4,
            "load_1m": round(random.uniform(0, 4), 2),
            "memory_total_bytes": 8 * 2**30,
            "memory_available_bytes": random.randint(2**30, 6 * 2**30),
        }

    def _program(self, id: int) -> dict[str, Any]:
        name = f"program-{id}"
        return {
            "id": id,
            "name": name,
            "command": f"python3 -m http.server {9000 + id} --bind 127.0.0.1",
            "user": "worker",
            "description": "Simulated",
            "enabled": True,
            "boot": True,
            "delay_seconds": 0,
            "autorestart": "unexpected",
            "environment": {"STAGE": "production", "REGION": "eu-1"},
            "priority": 999,
            "stdout_logfile": f"/var/lib/daemon-api/logs/{name}/stdout.log",
            "stderr_logfile": f"/var/lib/daemon-api/logs/{name}/stderr.log",
            "logs_enabled": True,
            "log_max_bytes": 5242880,
            "log_backups": 2,
            "lazy_load": False,
            "hoody_kit": False,
            "labels": {"team": f"team-{id % 7}"},
            "status": self._status(id, "running"),
        }

    @staticmethod
    def _status(id: int, state: str) -> dict[str, Any]:
        status: dict[str, Any] = {"id": id, "status": state}
        if state in ("running", "starting"):
            status |= {"pid": id + 4710, "uptime": "2:15:30"}
        return status

    def _stats(self, id: int) -> dict[str, Any]:
        used = {"cpu_percent": round(random.uniform(0, 9), 1), "memory_rss_bytes": 50_000_000 + id}
        process = {"pid": id + 4710, "command": "python3", **used}
        started_at = datetime.fromtimestamp(int(self._started_at), UTC).isoformat().replace("+00:00", "Z")
        return {
            "pid": id + 4710,
            "started_at": started_at,
            **used,
            "process_count": 1,
            "processes": [process],
        }


def application(hosts: Sequence[SimulatedHost]) -> web.Application:
    """Return the server of some hosts."""
    app = web.Application()
    app[_FLEET] = list(hosts)
    app.router.add_get(f"{API}/health", _health)
    app.router.add_get(f"{API}/machine", _machine)
    app.router.add_get(f"{API}/programs", _programs)
    app.router.add_get(f"{API}/status", _status)
    app.router.add_get(f"{API}/events", _events)
    app.router.add_get(f"{API}/events/stream", _stream)
    app.router.add_get("/metrics", _metrics)
    app.router.add_post("/simulated/change", _change)
    return app


def _host(request: web.Request) -> SimulatedHost:
    """Return the host that is meant by the address in the request."""
    _, _, third, fourth = request.host.partition(":")[0].split(".")
    found: SimulatedHost = request.app[_FLEET][int(third) * 250 + int(fourth) - 1]
    return found


def _answer(document: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps({"success": True, **document}), content_type="application/json")


async def _health(request: web.Request) -> web.Response:
    return _answer({"status": "ok"})


async def _machine(request: web.Request) -> web.Response:
    return _answer({"version": VERSION, "machine": _host(request).machine()})


async def _programs(request: web.Request) -> web.Response:
    with_stats = request.query.get("include_stats") == "true"
    return web.Response(body=_host(request).listed(with_stats=with_stats), content_type="application/json")


async def _status(request: web.Request) -> web.Response:
    keys = ("id", "name", "enabled", "status")
    return _answer(
        {"statuses": [{key: each[key] for key in keys} for each in _host(request).programs.values()]}
    )


async def _events(request: web.Request) -> web.Response:
    newest = list(reversed(_host(request).events))[: int(request.query.get("limit", "100"))]
    return _answer({"next": None, "events": newest})


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(text=f'daemon_build_info{{version="{VERSION}"}} 1.0\n')


async def _stream(request: web.Request) -> web.StreamResponse:
    host = _host(request)
    newest = host.events[-1]["id"] if host.events else 0
    position = int(request.headers.get("Last-Event-ID", newest))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):  # of a follower that has left
        await _send(response, host, position)
    return response


async def _send(response: web.StreamResponse, host: SimulatedHost, position: int) -> None:
    """Send the events after one, and those that come."""
    await response.write(b"retry: 2000\n\n")
    while True:
        changed = host.changed  # before the look, so that nothing is missed after it
        for event in host.after(position):
            position = event["id"]
            await response.write(b"id: %d\nevent: state\ndata: %s\n\n" % (position, orjson.dumps(event)))
        try:
            await asyncio.wait_for(changed.wait(), _COMMENT_SECONDS)
        except TimeoutError:
            await response.write(b": \n\n")


async def _change(request: web.Request) -> web.Response:
    wanted = await request.json()
    host = request.app[_FLEET][wanted["host"]]
    return _answer({"event": host.change(wanted["program_id"], wanted["state"])})


async def _change_at_random(hosts: Sequence[SimulatedHost], per_second: float) -> None:
    while True:
        await asyncio.sleep(random.expovariate(per_second))
        random.choice(hosts).change_any()


async def serve(hosts: int, programs: int, port: int, changes: float) -> None:
    """Simulate until the process is ended."""
    fleet = [SimulatedHost(number, programs) for number in range(hosts)]
    runner = web.AppRunner(application(fleet), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", port, backlog=1024).start()
    print(
        f"{hosts} simulated hosts, from http://{address(0)}:{port} to http://{address(hosts - 1)}:{port}",
        flush=True,
    )
    if changes:
        await _change_at_random(fleet, changes)
    await asyncio.Event().wait()


def main() -> None:
    """Parse the command line, and simulate."""
    parser = argparse.ArgumentParser(description="Simulate hosts, for a hub to follow.")
    parser.add_argument("--hosts", type=int, default=300)
    parser.add_argument("--programs", type=int, default=100, help="Of each host.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--changes", type=float, default=0, help="State changes a second, over all hosts.")
    given = parser.parse_args()
    asyncio.run(serve(given.hosts, given.programs, given.port, given.changes))


if __name__ == "__main__":
    main()
