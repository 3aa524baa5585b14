"""A threaded gunicorn worker that strangers can't block, and whose connections live streams can take over."""

import errno
import socket
import struct
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.http import errors
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

from daemon_programs.streams import descriptors
from hoody_site.api import sentences
from hoody_site.server.connections import REQUEST_SECONDS, Arrival, Connection

_STATUS_BY_ERROR = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.UnsupportedTransferCoding: 501,
    errors.ExpectationFailed: 417,
}
_READ_BYTES = 64 * 1024
_SEND_SECONDS = 30  # a client that takes nothing for so long is disconnected
_LINGER_SECONDS = 2.0  # for a client to read a response before the connection is closed
_STOP_SECONDS = 2.0  # for kept connections, when the worker stops
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_NO_CONNECTION = (errno.EAGAIN, errno.ECONNABORTED, errno.EPERM)


class HandoverWorker(ThreadWorker):
    """Collect requests in the main thread, and let the thread pool serve those that have arrived.

    Connections that ``hoody_site.wsgi`` has handed over to the stream thread are left alone. Of gunicorn's
    own worker this replaces how connections wait: there a silent one holds a thread.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: dict[Connection, None] = {}  # without a thread, oldest first; a dict keeps their order
        self._long: list[Connection] = []  # long requests that wait for a thread
        self._long_requests = 0  # how many threads read one
        self._max_long_requests = max(self.cfg.threads // 4, 1)

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """Return the pool, with one thread at least."""
        pool = PatientPool(self.cfg.threads, thread_name_prefix="request")
        pool.submit(int)
        return pool

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; at the limit, close the one that has waited longest for its client."""
        try:
            client, address = listener.accept()
        except OSError as problem:
            if problem.errno in _NO_ROOM:
                self._close_oldest()
                time.sleep(0.01)  # the listener stays readable; let threads end what they do
            elif problem.errno not in _NO_CONNECTION:
                raise
            return
        self.nr_conns += 1
        if self.nr_conns >= min(self.worker_connections, descriptors.limit() // 4):
            self._close_oldest()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._wait_for_request(Connection(self.cfg, client, address, listener.getsockname()))

    def _close_oldest(self) -> None:
        """Close the connection that has waited longest for its client, if any waits."""
        if self._open:
            self._forget(next(iter(self._open)))

    def _wait_for_request(self, conn: Connection, received: bytes = b"") -> None:
        conn.sock.setblocking(False)
        seconds = REQUEST_SECONDS if received else self.cfg.keepalive
        conn.timeout = time.monotonic() + (seconds if self.alive else _STOP_SECONDS)
        self._open[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(self._receive, conn))
        if received:
            self._collect(conn, received)

    def _receive(self, conn: Connection, client: socket.socket) -> None:
        data = _received(client)
        if data is None:
            return
        if not data:
            self._forget(conn)
            return
        if not conn.received:
            conn.timeout = time.monotonic() + REQUEST_SECONDS
        self._collect(conn, data)

    def _collect(self, conn: Connection, data: bytes) -> None:
        """Have a request served that has arrived."""
        state = conn.collect(data)
        if state is Arrival.INCOMPLETE:
            return
        self._release(conn)
        conn.is_long = state is Arrival.LONG
        if not conn.is_long:
            self.enqueue_req(conn)
            return
        self._long.append(conn)
        self._serve_long_requests()

    def _serve_long_requests(self) -> None:
        """Give threads to long requests, but never more than a quarter of all."""
        while self._long and self._long_requests < self._max_long_requests:
            self._long_requests += 1
            self.enqueue_req(self._long.pop(0))

    def _release(self, conn: Connection) -> None:
        """Stop waiting for a client."""
        del self._open[conn]
        self.poller.unregister(conn.sock)

    def _forget(self, conn: Connection) -> None:
        """Close a connection that no thread serves."""
        self._release(conn)
        self.nr_conns -= 1
        conn.close()

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Wait for the next request of a connection, or close it, or leave it to the streams."""
        if conn.is_long:
            conn.is_long = False
            self._long_requests -= 1
            self._serve_long_requests()
        if conn.sock.fileno() == -1:  # handed over
            self.nr_conns -= 1
        elif not fs.cancelled() and fs.exception() is None and fs.result():
            self._wait_for_request(conn, conn.leftover())
        else:
            self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Close a connection once its client has: an earlier close could take the response with it."""
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return
        conn.timeout = time.monotonic() + _LINGER_SECONDS
        conn.received.clear()
        self._open[conn] = None
        self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Connection, client: socket.socket) -> None:
        if _received(client) == b"":
            self._forget(conn)

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections whose time is over; answer those that have sent half a request."""
        now = time.monotonic()
        for conn in [conn for conn in self._open if force or conn.timeout <= now]:
            if conn.received:
                self._answer(conn.sock, 408)
            self._forget(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self._open:
            conn.timeout = min(conn.timeout, deadline)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Serve a request; close the connection of a client that does not send or read in time."""
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            self._answer(conn.sock, 408)
        except BlockingIOError:
            self.log.debug("The client does not read")
        raise StopIteration

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a malformed request without quoting it, since a header may hold a token.

        Nothing is logged: strangers could rotate the log away.
        """
        ours = isinstance(exc, errors.InvalidResponseHeader | errors.InvalidResponseHeaderName)
        if ours or not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
        else:
            self._answer(client, _STATUS_BY_ERROR.get(type(exc), 400))

    def _answer(self, client: socket.socket, status: int) -> None:
        """Send an error outside of Django, and announce that the connection is closed."""
        body = sentences.error_body(status)
        head = f"HTTP/1.1 {status} {sentences.phrase(status)}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            self.log.debug("The client has closed the connection")


class PatientPool(ThreadPoolExecutor):
    """Continue with the threads that exist if the system has no room for another one."""

    _threads: set[threading.Thread]

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError:
            if not self._threads:
                raise


def _received(client: socket.socket) -> bytes | None:
    """Return what a client has sent: empty if it has closed the connection, None if nothing is there."""
    try:
        return client.recv(_READ_BYTES)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""
