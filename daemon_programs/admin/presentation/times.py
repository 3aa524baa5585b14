"""Times for people: how long ago, with the full time and its zone on hover. `console/times.js` counts on."""

import time
from datetime import UTC, datetime

from django.utils.html import format_html
from django.utils.safestring import SafeString

from daemon_programs import timestamps

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def ago(at: datetime) -> SafeString:
    """Return how long ago a time was, such as "3 minutes ago"; "in 3 minutes" for one to come."""
    passed = time.time() - at.timestamp()
    words = _words(abs(passed))
    text = f"in {words}" if passed < 0 else f"{words} ago"
    return format_html(
        '<time class="ago" datetime="{}" title="{} UTC">{}</time>',
        at.astimezone(UTC).isoformat(timespec="milliseconds"),
        timestamps.milliseconds(at).replace("T", " ").removesuffix("Z"),
        text,
    )


def since(started_at: float) -> SafeString:
    """Return the time that has passed since ``started_at``, in seconds since the epoch, as in `uptime`."""
    at = datetime.fromtimestamp(started_at, UTC)
    return format_html(
        '<time class="since" datetime="{}" title="since {} UTC">{}</time>',
        at.isoformat(timespec="milliseconds"),
        at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00"),
        timestamps.uptime(time.time() - started_at),
    )


def _words(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    name, size = next(unit for unit in _UNITS if seconds >= unit[1])
    count = int(seconds // size)
    return f"{count} {name}{'' if count == 1 else 's'}"
