"""The WSGI application that gunicorn serves."""

import os
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hoody_site.settings")

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django reads as much of a body as Content-Length says; one that comes in chunks has none."""
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        body = environ["wsgi.input"].read(settings.BODY_MAX_BYTES + 1)
        environ.update({"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    return _django(environ, start_response)
