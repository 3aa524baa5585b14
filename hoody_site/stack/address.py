"""The address that the API listens on."""

import errno
import socket
import time

from django.conf import settings

from hoody_site.stack.problem import StackProblem


def check_address(patience_seconds: float = 0.0) -> None:
    """Raise StackProblem if the API can't listen on its address within ``patience_seconds``.

    Wait after survivors were ended: the threads of a killed process may hold its sockets for a moment longer
    than it is in the process table.
    """
    deadline = time.monotonic() + patience_seconds
    while problem := _bind():
        if time.monotonic() > deadline:
            raise StackProblem(
                f"{settings.BIND_HOST}:{settings.BIND_PORT} can't be used ({problem.strerror}): "
                f"{_advice(problem)}set DAEMON_BIND to another host:port"
            ) from problem
        time.sleep(0.05)


def _advice(problem: OSError) -> str:
    """Return what else than another address would help."""
    if isinstance(problem, socket.gaierror):
        return "no address has this name; "
    if problem.errno == errno.EADDRINUSE:
        return "stop what listens there, or "
    if problem.errno == errno.EADDRNOTAVAIL:
        return "no network interface of this host has this address; "
    if problem.errno in (errno.EACCES, errno.EPERM):
        return "this user may not listen there, such as on ports below 1024; "
    return ""


def _bind() -> OSError | None:
    """Bind to the address for a moment; return the error, or None."""
    host = settings.BIND_HOST.strip("[]")
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, settings.BIND_PORT, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as problem:
        return problem
    return None


def url() -> str:
    """Return the URL for clients on this host."""
    everywhere = settings.BIND_HOST in ("0.0.0.0", "[::]")  # noqa: S104
    host = "127.0.0.1" if everywhere else settings.BIND_HOST
    return f"http://{host}:{settings.BIND_PORT}/"


def admin_url() -> str:
    """Return the URL of the admin, under the host name that sessions are valid under."""
    if not settings.IS_ON_LOCALHOST:
        return f"{url()}admin/"
    return f"http://{settings.ADMIN_HOST_FILE.read_text().strip()}:{settings.BIND_PORT}/admin/"
