"""The WSGI application that gunicorn serves."""

import os
from collections.abc import Iterable
from email.utils import formatdate
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from daemon_programs import optional

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hoody_site.settings")

# Django REST framework loads these wherever they are installed: the driver alone takes 10 MB of memory. A
# database loads its driver itself.
with optional.without("requests", "psycopg"):
    import rest_framework.compat  # noqa: F401
_django = get_wsgi_application()

# This import needs Django to be set up.
from daemon_programs.streams.answer import StreamResponse, hand_over  # noqa: E402

_BLOCK_BYTES = 64 * 1024
_MAX_DISCARDED_BYTES = 32 * 1024 * 1024


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Read the request's body, then let Django answer; hand a live stream over to the stream thread.

    The body is read first, up to 32 MiB, because a client that is refused while it is still sending would
    see a reset connection instead of the response. A chunked body has no Content-Length, without which
    Django would read nothing, so the length is set here.
    """
    stream = environ["wsgi.input"]
    body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    for _ in range(_MAX_DISCARDED_BYTES // _BLOCK_BYTES):
        if not stream.read(_BLOCK_BYTES):
            break
    environ["wsgi.input"] = BytesIO(body)
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower().endswith("chunked"):
        environ["CONTENT_LENGTH"] = str(len(body))
    head = _ResponseHead(start_response)
    response = _django(environ, head)
    if isinstance(response, StreamResponse):
        hand_over(environ, head.text(), response)
        raise StopIteration  # makes gunicorn leave the connection alone
    if environ["REQUEST_METHOD"] == "HEAD":
        response.close()
        return ()  # gunicorn would drop the body too, and log a line for each such request
    return response


class _ResponseHead:
    """Record status and headers of a response, for a stream that writes them in place of gunicorn."""

    def __init__(self, start_response: Any) -> None:
        self._start_response = start_response
        self._lines: list[str] = []

    def __call__(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        self._lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        return self._start_response(status, headers, *rest)

    def text(self) -> bytes:
        """Return the head of the response. It has no length: the response ends with the connection."""
        more = [f"Date: {formatdate(usegmt=True)}", "Connection: close"]
        return "\r\n".join([*self._lines, *more, "", ""]).encode("latin-1")
