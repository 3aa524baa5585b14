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
        _full(at),
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


def until(at: datetime) -> SafeString:
    """Return the time that is left until a time to come, such as "3:20"."""
    return format_html(
        '<time class="until" datetime="{}" title="until {} UTC">{}</time>',
        at.astimezone(UTC).isoformat(timespec="milliseconds"),
        _full(at),
        countdown(at.timestamp() - time.time()),
    )


def countdown(seconds: float) -> str:
    """Return a rest of time as "3:20", or with hours as "1:03:20"."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def duration(seconds: float) -> str:
    """Return how long something took, in at most two units: "20 ms", "0.4 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 0.1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _full(at: datetime) -> str:
    return timestamps.milliseconds(at).replace("T", " ").removesuffix("Z")


def _words(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    name, size = next(unit for unit in _UNITS if seconds >= unit[1])
    count = int(seconds // size)
    return f"{count} {name}{'' if count == 1 else 's'}"
