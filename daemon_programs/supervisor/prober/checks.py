"""One look at a process: a connection, an HTTP request, or a command.

Plain sockets rather than asyncio's streams, which would take several times the processor.
"""

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from daemon_programs.supervisor.prober.commands import Command
from daemon_programs.supervisor.prober.hosts import addresses_of, may_be_probed
from daemon_programs.supervisor.probes import Probe

Check = Callable[[], Awaitable[str]]  # returns why it has failed, or an empty text; may raise OSError

_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})[ \r\n]")
_MOST_BYTES_OF_HEAD = 16 * 1024
_MOST_BYTES_OF_BODY = 256 * 1024
_BODY_SECONDS = 1.0
# From 127.0.0.1 the kernel may choose the probed port as the source, so that a probe connects to itself.
_SOURCES = ("127.0.0.2", "127.0.0.3")


class Checks:
    """Makes the checks of probes; ``hosts`` may be probed in addition to loopback."""

    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts

    def of(self, probe: Probe, runs: dict[str, Any] | None) -> Check:
        """Return the check of a probe; ``runs`` says how commands are run."""
        if probe.kind == "port":
            return partial(_accepts, probe.target)
        if probe.kind == "http":
            return partial(self._answers, probe)
        return Command(probe.target, runs).succeeds

    async def _answers(self, probe: Probe) -> str:
        parts = urlsplit(probe.target)
        host = parts.hostname or ""
        if not may_be_probed(host, self._hosts):
            return f"{host} may not be probed (DAEMON_PROBE_HOSTS)"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with await _connect(host, parts.port or 80) as connection:
            status = await _request(connection, parts.netloc, path)
        if status == probe.status:
            return ""
        return f"HTTP status {status} instead of {probe.status}" if status else "no answer in HTTP"


async def _accepts(port: int) -> str:
    (await _connect("127.0.0.1", port)).close()
    return ""


async def _request(connection: socket.socket, host: str, path: str) -> int | None:
    """Return the status of the answer. Redirects are not followed."""
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: daemon-prober\r\nConnection: close\r\n\r\n"
    await loop.sock_sendall(connection, request.encode())
    head = b""
    while b"\n" not in head and len(head) < _MOST_BYTES_OF_HEAD:
        piece = await loop.sock_recv(connection, 4096)
        if not piece:
            break
        head += piece
    match = _STATUS_LINE.match(head)
    if match is not None:
        await _read_rest(connection)
    return int(match[1]) if match else None


async def _read_rest(connection: socket.socket) -> None:
    """Take what follows, within limits: many servers complain of a client that leaves early."""
    loop = asyncio.get_running_loop()
    left = _MOST_BYTES_OF_BODY
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_BODY_SECONDS):
            while left > 0 and (piece := await loop.sock_recv(connection, 64 * 1024)):
                left -= len(piece)


async def _connect(host: str, port: int) -> socket.socket:
    """Return a connection to a host that may be probed. Raise OSError."""
    problem: OSError = ConnectionError("the host has no address")
    for address in await _resolve(host):
        try:
            return await _connect_to(address, port)
        except OSError as error:
            problem = error
    raise problem


async def _connect_to(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        if address.startswith("127."):
            connection.bind((_SOURCES[address == _SOURCES[0]], 0))
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


async def _resolve(host: str) -> list[str]:
    """Return the addresses of a host. Names other than ``localhost`` are those that the operator allows."""
    addresses = addresses_of(host)
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(address)) for address in addresses]
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]
