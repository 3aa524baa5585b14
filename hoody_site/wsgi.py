"""The WSGI application that gunicorn serves."""

import os
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hoody_site.settings")

_django = get_wsgi_application()

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
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        environ["CONTENT_LENGTH"] = str(len(body))
    return _django(environ, start_response)
