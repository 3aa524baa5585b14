"""Format Server-Sent Events, as the HTML standard defines them."""

import json
from collections.abc import Mapping
from typing import Any

RETRY = b"retry: 2000\n"  # how long a browser waits before it reconnects, in milliseconds
KEEP_ALIVE = b": keep-alive\n\n"


def event(name: str, data: Mapping[str, Any], id: object = None) -> bytes:
    """Return one event; a client that reconnects sends its ``id`` as Last-Event-ID."""
    head = f"event: {name}\n" if id is None else f"id: {id}\nevent: {name}\n"
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
