"""Times and sizes as systemd writes them."""

import math
import re

_SECONDS = {
    "us": 1e-6, "usec": 1e-6, "µs": 1e-6, "ms": 1e-3, "msec": 1e-3, "": 1, "s": 1, "sec": 1, "second":
    1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600, "hr": 3600, "hour":
    3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400, "w": 604800, "week": 604800, "weeks":
    604800, "M": 2629800, "month": 2629800, "months": 2629800, "y": 31557600, "year": 31557600, "years":
    31557600,
}  # fmt: skip
_BYTES = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4, "P": 1024**5, "E": 1024**6}
_PIECE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-zµ]*)")


def seconds(text: str) -> float:
    """Return the seconds of a time such as `1min 30s`; raise ValueError."""
    if text == "infinity":
        return math.inf
    total, position = 0.0, 0
    while position < len(text.rstrip()):
        found = _PIECE.match(text, position)
        if not found or found[2] not in _SECONDS:
            raise ValueError(text)
        total += float(found[1]) * _SECONDS[found[2]]
        position = found.end()
    if not position:
        raise ValueError(text)
    return total


def size(text: str) -> float:
    """Return the bytes of a size such as `512M`; raise ValueError."""
    if text == "infinity":
        return math.inf
    found = _PIECE.fullmatch(text.rstrip())
    if not found or found[2] not in _BYTES:
        raise ValueError(text)
    return float(found[1]) * _BYTES[found[2]]
