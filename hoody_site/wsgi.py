"""The WSGI application that gunicorn serves."""

import os
from collections.abc import Iterable
from email.utils import formatdate
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hoody_site.settings")

_django = get_wsgi_application()

# What follows needs a Django that is set up.
from daemon_programs.streams.answer import StreamResponse, hand_over  # noqa: E402

_BLOCK_BYTES = 64 * 1024
_MOST_DISCARDED_BYTES = 32 * 1024 * 1024


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Read the body before it is looked at, as far as anybody may want it.

    A client that is refused while it is still sending would see its connection reset instead of the
    answer. And Django reads as much as Content-Length says: a body that comes in chunks has none.
    """
    stream = environ["wsgi.input"]
    body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    for _ in range(_MOST_DISCARDED_BYTES // _BLOCK_BYTES):
        if not stream.read(_BLOCK_BYTES):
            break
    environ["wsgi.input"] = BytesIO(body)
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower().endswith("chunked"):
        environ["CONTENT_LENGTH"] = str(len(body))
    head = _Head(start_response)
    response = _django(environ, head)
    if isinstance(response, StreamResponse):
        hand_over(environ, head.text(), response)
        raise StopIteration  # gunicorn's way to leave a connection alone
    return response


class _Head:
    """Django's word on how the answer begins, kept for who writes it in the server's place."""

    def __init__(self, start_response: Any) -> None:
        self._start_response = start_response
        self._lines: list[str] = []

    def __call__(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        self._lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        return self._start_response(status, headers, *rest)

    def text(self) -> bytes:
        """Without a length: the answer ends when the connection does."""
        more = [f"Date: {formatdate(usegmt=True)}", "Connection: close"]
        return "\r\n".join([*self._lines, *more, "", ""]).encode("latin-1")
