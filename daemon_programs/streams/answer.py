"""From a view to the pump: the answer that goes on without the request's thread."""

import socket
from collections.abc import Sequence
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request

from daemon_programs.exceptions import StreamsUnavailable
from daemon_programs.streams.authorization import Authorization, authorization_of
from daemon_programs.streams.pump import Source, pump

_SOCKET = "gunicorn.socket"


class StreamResponse(StreamingHttpResponse):
    """The head of the answer. What follows is written by the pump, once it has the socket."""

    def __init__(self, source: Source, is_authorized: Authorization) -> None:
        super().__init__((), content_type="text/event-stream")
        self.source = source
        self.is_authorized = is_authorized
        self["Cache-Control"] = "no-cache"
        self["X-Accel-Buffering"] = "no"  # nginx would keep events back


def stream_answer(request: Request, permissions: Sequence[str], source: Source) -> StreamResponse:
    """Answer with a stream; raises TooManyStreams, and StreamsUnavailable where no socket can be had."""
    if _SOCKET not in request.META:
        raise StreamsUnavailable
    pump.admit(source)
    return StreamResponse(source, authorization_of(request, permissions))


def hand_over(environ: dict[str, Any], head: bytes, response: StreamResponse) -> None:
    """Give the socket to the pump. The server must do no more with it."""
    response.close()  # for Django the request is over
    response.source.open()
    connection = socket.socket(fileno=environ[_SOCKET].detach())
    pump.take(connection, head, response.source, response.is_authorized)
