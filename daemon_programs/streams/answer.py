"""Hand the response of a view over to the pump, which continues it without the request's thread."""

import socket
from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.request import Request

from daemon_programs.exceptions import StreamsUnavailable
from daemon_programs.streams.authorization import Authorization, authorization_of
from daemon_programs.streams.pump import Source, pump

_SOCKET = "gunicorn.socket"
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would buffer the events
}


class StreamResponse(StreamingHttpResponse):
    """The head of a streaming response; the pump writes the body once it has the socket."""

    def __init__(self, source: Source, is_authorized: Authorization) -> None:
        super().__init__((), headers=_HEADERS)
        self.source = source
        self.is_authorized = is_authorized


def stream_answer(
    request: Request, permissions: Sequence[str], source: Source
) -> StreamResponse | HttpResponse:
    """Return a response that streams ``source``; for HEAD, only its headers.

    Raise TooManyStreams at the limit of open streams, ShuttingDown while the process ends, and
    StreamsUnavailable if the server doesn't offer the socket or the host is out of file watches.
    """
    if request.method == "HEAD":
        return HttpResponse(headers=_HEADERS)
    if _SOCKET not in request.META:
        raise StreamsUnavailable
    pump.admit(source)
    return StreamResponse(source, authorization_of(request, permissions))


def hand_over(environ: dict[str, Any], head: bytes, response: StreamResponse) -> None:
    """Give the socket to the pump; the server must not use it afterwards."""
    response.close()  # ends the request for Django
    response.source.open()
    connection = socket.socket(fileno=environ[_SOCKET].detach())
    pump.take(connection, head, response.source, response.is_authorized)
