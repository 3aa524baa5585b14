"""A threaded gunicorn worker that lets a live stream take over the connection of its request."""

import json
import socket
from http import HTTPStatus
from typing import Any

from gunicorn.http import errors
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

_STATUS_BY_ERROR = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


class HandoverWorker(ThreadWorker):
    """Leave connections alone that `hoody_site.wsgi` has handed over to the stream thread."""

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Finish a request; only count down if its socket was handed over."""
        if conn.sock.fileno() == -1:
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer and log a malformed request without quoting it, since a header may hold a token."""
        ours = isinstance(exc, errors.InvalidResponseHeader | errors.InvalidResponseHeaderName)
        if ours or not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("Invalid request from %s: %s", addr and addr[0], type(exc).__name__)
        status = _STATUS_BY_ERROR.get(type(exc), HTTPStatus.BAD_REQUEST)
        body = json.dumps({"success": False, "error": "The request is malformed"})
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            write_nonblock(client, (head + body).encode())
        except OSError:
            self.log.debug("The client has closed the connection")
